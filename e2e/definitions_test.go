package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// everything returns all that is in a store, decompressed, by file.
func everything(t *testing.T, store string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all[path] = string(b)
		switch {
		case strings.HasSuffix(path, ".zst"):
			r, err := zstd.NewReader(bytes.NewReader(b))
			if err != nil {
				return err
			}
			defer r.Close()
			if b, err = io.ReadAll(r); err != nil {
				return err
			}
			all[path] = string(b)
		case strings.HasSuffix(path, ".s2"):
			if b, err = io.ReadAll(s2.NewReader(bytes.NewReader(b))); err != nil {
				return err
			}
			all[path] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const userDefinition = `
events:
  user.created:
    columns:
      - {name: email, type: VARCHAR(64)}
      - {name: age, type: INTEGER, contract: discard_value}
    required: [email]
    contract: {columns: evolve, data_type: freeze}
    privacy:
      hash: [email, "friends.*.email"]
      drop: [password]
      truncate: [{path: ip, to: ip}]
  page.viewed:
    schema: {properties: {url: {type: string}, ms: {type: integer}}, additionalProperties: false}
    contract: {columns: discard_value, data_type: discard_row}
  order.placed:
    columns: [{name: amount, type: "DECIMAL(12,2)"}]
    contract: {columns: freeze, data_type: freeze}
`

// The story of definitions: they are in files; what does not fit is refused,
// discarded or taken; and what must not be stored is nowhere in the store.
func TestDefinitions(t *testing.T) {
	t.Setenv("ARBALEST_E2E_KEY", "a key that is long enough")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "arbalest.yaml"), "privacy: {key: \"${ARBALEST_E2E_KEY}\"}\nlimits: {event: 16KiB}\n")
	write(t, filepath.Join(dir, "events", "all.yaml"), userDefinition)
	s := serve(t, dir)
	const secret = "s3cr3t"
	secrets := func(body string) string { return strings.ReplaceAll(body, "SECRET", secret) }
	for body, want := range map[string][3]int{ // status, accepted, rejected
		`{"event":"user.created","id":"1","data":{"email":"SECRET@doe.com","age":41,"ip":"198.51.100.77","password":"SECRET","friends":[{"email":"SECRET","n":1}],"plan":"free"}}`: {200, 1, 0},
		`{"event":"user.created","id":"2","data":{"email":"SECRET@doe.com","age":"very old","city":{"name":"Paris"}}}`:                                                             {200, 1, 0},
		`{"event":"user.created","id":"3","data":{"password":"SECRET"}}`:                                                                                                           {400, 0, 1},
		`{"event":"user.created","id":"4","timestamp":"never","data":{"email":"SECRET"}}`:                                                                                          {400, 0, 1},
		`{"event":"user.created","id":"5","email":"SECRET"}`:                                                                                                                       {400, 0, 1},
		`{"event":"user.created","id":"6","data":{"email":"SECRET"`:                                                                                                                {400, 0, 1},
		`{"event":"user created","id":"7","data":{"email":"SECRET"}}`:                                                                                                              {400, 0, 1},
		`[{"event":"user.created","id":"8","data":{"email":"SECRET"}} "SECRET"]`:                                                                                                   {200, 1, 1},
		`{"event":"user.created","id":"9","data":{"email":"` + strings.Repeat("SECRET", 5000) + `"}}`:                                                                              {400, 0, 1},
		`{"event":"page.viewed","id":"1","data":{"url":"/","ms":7,"colour":"red"}}`:                                                                                                {200, 1, 0},
		`{"event":"page.viewed","id":"2","data":{"url":"/","ms":"slow"}}`:                                                                                                          {200, 0, 1},
		`[{"event":"order.placed","id":"1","data":{"amount":12.50}},{"event":"order.placed","id":"2","data":{"amount":1.255}}]`:                                                    {200, 1, 1},
		`{"event":"order.placed","id":"3","data":{"amount":1,"note":"x"}}`:                                                                                                         {400, 0, 1},
	} {
		status, a, err := post(s.url, secrets(body))
		if err != nil || status != want[0] || a.Accepted != want[1] || len(a.Rejected) != want[2] {
			t.Errorf("%.100s: %d %+v, %v", body, status, a, err)
		}
		if a.Accepted > 0 {
			loaded(t, s.url, a.Receipt)
		}
	}
	must(t, "sync", "--data", dir)
	if got := strings.Join(query(t, dir, `SELECT event_id, length(email), age, ip, plan, city_name, properties->>'age' FROM user_created ORDER BY 1`), "\n"); got != "1,64,41,198.51.100.0,free,,41\n2,64,,,,Paris,\n8,64,,,,," {
		t.Errorf("users\n%s", got)
	}
	if got := query(t, dir, `SELECT count(DISTINCT email) FROM user_created WHERE event_id IN ('1', '2')`)[0]; got != "1" {
		t.Errorf("hashes do not join: %s", got)
	}
	if got := query(t, dir, `SELECT url, ms, properties FROM page_viewed`)[0]; got != `/,7,"{""url"":""/"",""ms"":7}"` {
		t.Errorf("page: %s", got)
	}
	if got := query(t, dir, `SELECT count(*), sum(amount) FROM order_placed`)[0]; got != "1,12.50" {
		t.Errorf("orders: %s", got)
	}
	s.stop()
	must(t, "verify", "--data", dir)
	before := query(t, dir, "SELECT * FROM user_created ORDER BY event_id")
	must(t, "rebuild", "--data", dir)
	if after := query(t, dir, "SELECT * FROM user_created ORDER BY event_id"); !slices.Equal(before, after) {
		t.Errorf("rebuilt:\n%s\nbefore:\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	must(t, "verify", "--data", dir)
	if strings.Contains(s.log.String(), secret) {
		t.Errorf("the log has a secret: %s", s.log)
	}
	hidden(t, dir, secret)
	drift(t, dir)
	inferAndCheck(t, dir)
}

// hidden holds that secrets are nowhere in the store, and that what was refused
// and taken out is there.
func hidden(t *testing.T, dir, secret string) {
	t.Helper()
	all := everything(t, filepath.Join(dir, "store"))
	whole := ""
	for path, text := range all {
		if strings.Contains(text, secret) || strings.Contains(text, "198.51.100.77") {
			t.Errorf("%s has a secret:\n%s", path, text)
		}
		whole += text
	}
	for _, want := range []string{`"_discarded":[{"path":["age"]`, `"_discarded":[{"path":["colour"]`, `"value":"red"`, `"code":"bad_schema"`, `"code":"discarded"`, `\"ms\":\"slow\"`, `"protected":true`, "198.51.100.0"} {
		if !strings.Contains(whole, want) {
			t.Errorf("the store does not have %s", want)
		}
	}
}

// drift looks at diff.
func drift(t *testing.T, dir string) {
	t.Helper()
	var r struct {
		Events []struct {
			Event   string
			Events  int
			Unknown []struct{ Path []string }
			Refused []struct {
				Reason string
				Count  int
			}
			Discarded []struct{ Reason string }
		}
	}
	if err := json.Unmarshal([]byte(must(t, "schema", "diff", "--data", dir, "--json")), &r); err != nil || len(r.Events) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	user, order := r.Events[2], r.Events[0]
	var unknown []string
	for _, u := range user.Unknown {
		unknown = append(unknown, strings.Join(u.Path, "."))
	}
	if got := strings.Join(unknown, " "); user.Event != "user.created" || user.Events != 3 || !strings.Contains(got, "plan") || !strings.Contains(got, "city.name") || len(user.Discarded) != 1 {
		t.Errorf("%+v", user)
	}
	if len(order.Refused) != 2 || order.Refused[0].Count != 1 {
		t.Errorf("%+v", order)
	}
	if out := must(t, "schema", "diff", "--data", dir, "user.created"); !strings.Contains(out, "not in the definition") || !strings.Contains(out, "taken out") {
		t.Error(out)
	}
}

// inferAndCheck drafts a definition, which its own check takes, and changes it.
func inferAndCheck(t *testing.T, dir string) {
	t.Helper()
	draft := must(t, "schema", "infer", "page.viewed", "--data", dir)
	if !strings.Contains(draft, "100 % of 1 event") || !strings.Contains(draft, `- {name: ms, type: BIGINT}`) || !strings.Contains(draft, "required: [url, ms]") {
		t.Error(draft)
	}
	other := t.TempDir()
	undefined := t.TempDir()
	must(t, "import", "--data", undefined, write(t, filepath.Join(undefined, "in.ndjson"), `{"event":"page.viewed","id":"1","data":{"url":"/x","ms":1}}`+"\n"))
	first := write(t, filepath.Join(undefined, "first.yaml"), must(t, "schema", "infer", "page.viewed", "--data", undefined))
	if out := must(t, "schema", "check", first, "--data", undefined); out != "Nothing changes.\n" {
		t.Error(out)
	}
	file := write(t, filepath.Join(other, "events", "page.yaml"), draft)
	must(t, "schema", "check", file, file)
	must(t, "import", "--data", other, write(t, filepath.Join(other, "in.ndjson"), `{"event":"page.viewed","id":"1","data":{"url":"/x","ms":1}}`+"\n"))
	wider := write(t, filepath.Join(other, "wider.yaml"), strings.Replace(draft, "    required:", "      - {name: referrer, type: VARCHAR(MAX)}\n    required:", 1))
	if out := must(t, "schema", "check", wider, "--data", other); !strings.Contains(out, "+ page.viewed: column referrer: new") {
		t.Error(out)
	}
	narrower := write(t, filepath.Join(other, "narrower.yaml"), strings.Replace(draft, "type: BIGINT", "type: SMALLINT", 1))
	out, errs, exit := run(t, "schema", "check", narrower, "--data", other)
	if exit != 2 || !strings.Contains(out, "It is a new event: page.viewed.v2") || !strings.Contains(errs, "not additive") {
		t.Errorf("exit %d: %s%s", exit, out, errs)
	}
	if out, _, exit = run(t, "schema", "check", file, narrower, "--json"); exit != 2 || !strings.Contains(out, `"suggest":"page.viewed.v2"`) {
		t.Errorf("exit %d: %s", exit, out)
	}
}
