package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// githubSecret is what the webhooks of these tests are signed with.
const githubSecret = "It's a Secret to Everybody"

// A delivery is a webhook as GitHub posts it.
type delivery struct {
	event, id, body string
	form            bool
	table           string
	compact         string // the payload
}

// deliveries are the example payloads of GitHub.
func deliveries(t *testing.T) (all []delivery) {
	t.Helper()
	for i, line := range lines(t, data(t, "github-webhooks.ndjson.gz")) {
		var hook struct {
			Event   string          `json:"event"`
			Payload json.RawMessage `json:"payload"`
		}
		var payload struct {
			Action string `json:"action"`
		}
		var compact, indented bytes.Buffer
		for _, err := range []error{json.Unmarshal([]byte(line), &hook), json.Unmarshal(hook.Payload, &payload), json.Compact(&compact, hook.Payload), json.Indent(&indented, hook.Payload, "", " ")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		d := delivery{event: strings.TrimSuffix(strings.TrimPrefix(hook.Event, "github."), "."+payload.Action), id: fmt.Sprintf("72d3162e-cc78-11e3-81ab-%012d", i), form: i%3 == 1, compact: compact.String()}
		d.body = []string{compact.String(), "payload=" + url.QueryEscape(compact.String()), indented.String()}[i%3]
		d.table = strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToLower(hook.Event))
		all = append(all, d)
	}
	return all
}

// post posts it, signed with a secret.
func (d delivery) post(t *testing.T, url, secret string) (status int, body string) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(d.body))
	kind := "application/json"
	if d.form {
		kind = "application/x-www-form-urlencoded"
	}
	status, _, body = sent(t, http.DefaultClient, url+"/v1/hooks/github", d.body, "Content-Type", kind, "User-Agent", "GitHub-Hookshot/044aadd",
		"X-GitHub-Event", d.event, "X-GitHub-Delivery", d.id, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return status, body
}

// GitHub's webhooks are stored byte for byte, compacted, each in the table of its
// kind, and once, though each is delivered twice. What is not signed is not
// stored. They need no key.
func TestGitHubsWebhooks(t *testing.T) {
	t.Setenv("GITHUB_SECRET", githubSecret)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte("hooks:\n  github: {kind: github, secret: \"${GITHUB_SECRET}\"}\n  shop: {kind: generic, event: /type, id: /id}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k := newKeyOf(t, dir, "--name", "shop", "--events", "order.*")
	s := serve(t, dir)
	all := deliveries(t)
	var receipt struct {
		Receipt string `json:"receipt"`
	}
	for range 2 {
		for _, d := range all {
			status, body := d.post(t, s.url, githubSecret)
			if status != 200 {
				t.Fatalf("%s: %d %s", d.event, status, body)
			}
			if err := json.Unmarshal([]byte(body), &receipt); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, d := range []delivery{all[0], all[1], {event: "push", id: "forged", body: "{}"}} {
		if status, body := d.post(t, s.url, "guessed"); status != 401 || strings.Contains(body, githubSecret) {
			t.Errorf("%s: %d %s", d.event, status, body)
		}
	}
	if status, _, body := sent(t, http.DefaultClient, s.url+"/v1/hooks/shop", `{"type":"order.paid","id":7}`, "X-Api-Key", k.Key); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := sent(t, http.DefaultClient, s.url+"/v1/hooks/shop", `{"type":"order.paid","id":8}`); status != 401 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := sent(t, http.DefaultClient, s.url+"/v1/hooks/shop", `{"type":"order.paid"}`, "X-Api-Key", k.Key); status != 400 || !strings.Contains(body, "bad_form") {
		t.Errorf("%d %s", status, body)
	}
	s.stop()
	must(t, "sync", "--data", dir)
	if log := s.log.String(); strings.Contains(log, githubSecret) || strings.Count(log, "X-Hub-Signature-256 is not the signature") != 3 {
		t.Errorf("log: %s", log)
	}
	want, tables := map[string]string{}, map[string]bool{"order_paid": true}
	for _, d := range all {
		want[d.id] = d.table + d.compact
		tables[d.table] = true
	}
	want["7"] = "order_paid" + `{"type":"order.paid","id":7}`
	var selects []string
	for _, table := range query(t, dir, "SELECT DISTINCT table_name FROM arbalest.journal WHERE table_name IS NOT NULL") {
		if !tables[table] {
			t.Errorf("table %s", table)
		}
		selects = append(selects, fmt.Sprintf(`SELECT event_id, '%s' || properties::VARCHAR AS p FROM %q`, table, table))
	}
	if len(selects) != len(tables) {
		t.Errorf("%d tables, want %d", len(selects), len(tables))
	}
	sameProperties(t, dir, selects, want)
	must(t, "verify", "--data", dir)
}
