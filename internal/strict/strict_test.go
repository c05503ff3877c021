package strict

import (
	"errors"
	"strings"
	"testing"

	"arbalest"
)

func TestUnmarshal(t *testing.T) {
	type file struct {
		Keys []string `yaml:"keys"`
	}
	var f file
	if err := Unmarshal("file", "a.yaml", []byte("keys: [a, b]\n"), &f); err != nil || len(f.Keys) != 2 {
		t.Errorf("%v, %v", f, err)
	}
	for text, want := range map[string]string{
		"keys: [a]\nkes: [b]\n": "[2:1]",
		"keys: [":               "a.yaml",
		"keys:\n ! 0":           "no YAML", // the parser panics
	} {
		if err := Unmarshal("file", "a.yaml", []byte(text), &f); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What is beside a mistake, and what a mistyped key has, may be a secret.
func TestNoLineIsQuoted(t *testing.T) {
	var f struct {
		URL  string `yaml:"url"`
		Size int    `yaml:"size"`
	}
	for _, text := range []string{"url: hunter2\nurk: x\n", "urk: hunter2\n", "url: [hunter2\n", "url: hunter2\nsize: [x]\n", "size: hunter2\n", "url: hunter2\nurl: hunter2\n"} {
		if err := Unmarshal("file", "a.yaml", []byte(text), &f); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte("keys:\n ! 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var into map[string]any
		if err := Unmarshal("file", "a.yaml", b, &into); err != nil && !errors.Is(err, arbalest.ErrInvalid) {
			t.Error(err)
		}
	})
}
