package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/hook"
)

// What is wrong with the door's configuration is said when serve starts, without
// secrets, and nothing is left open.
func TestADoorThatIsMisconfigured(t *testing.T) {
	t.Setenv("HALF_A_SECRET", "verysecret")
	for name, c := range map[string]config{
		"a secret that is not set":   {Hooks: map[string]hook.Config{"github": {Kind: "github", Secret: "${HALF_A_SECRET}${NO_SUCH_SECRET}"}}},
		"a token that is not set":    {Hooks: map[string]hook.Config{"a": {Kind: "generic", Event: "a", Token: &hook.Token{Header: "X", Value: "${HALF_A_SECRET}${NO_SUCH_SECRET}"}}}},
		"a hook without its header":  {Hooks: map[string]hook.Config{"a": {Kind: "generic", Event: "a", Secret: "${HALF_A_SECRET}", HMAC: &hook.HMAC{}}}},
		"half of a certificate":      {TLS: tlsConfig{Cert: "cert.pem"}},
		"everyone, from everywhere":  {Listen: "0.0.0.0:0"},
		"everyone, from some places": {Listen: "[::]:0"},
	} {
		if c.Listen == "" {
			c.Listen = "127.0.0.1:0"
		}
		dir := t.TempDir()
		s, err := startServer(t.Context(), place{dir: dir}, c, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%s: it is served at %s", name, s.url)
			err = s.Close()
		}
		if !errors.Is(err, arbalest.ErrInvalid) || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The configuration that init writes is one, when its lines on the door are not
// comments.
func TestTheSamplesDoor(t *testing.T) {
	var lines [][]byte
	for _, line := range bytes.Split(sampleConfig, []byte("\n")) {
		text, commented := bytes.CutPrefix(line, []byte("# "))
		for _, key := range []string{"keys:", "insecure:", "tls:", "hooks:", "  github:", "  shop:", "    ", "  lamp:"} {
			if commented && bytes.HasPrefix(text, []byte(key)) && (key != "    " || len(lines) > 3) {
				lines = append(lines, text)
				break
			}
		}
		if bytes.Contains(line, []byte("lamp:")) {
			break
		}
	}
	path := filepath.Join(t.TempDir(), "arbalest.yaml")
	if err := os.WriteFile(path, bytes.Join(lines, []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(path, false)
	if err != nil || c.Keys != "keys.yaml" || c.Insecure || c.TLS != (tlsConfig{"cert.pem", "key.pem"}) || len(c.Hooks) != 3 || c.Hooks["shop"].HMAC.Prefix != "sha256=" || c.Hooks["lamp"].Token.Header != "X-Token" {
		t.Errorf("%v: %+v of\n%s", err, c.Hooks, bytes.Join(lines, []byte("\n")))
	}
}
