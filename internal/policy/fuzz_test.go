package policy

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/decode"
)

// secret is a text that rules keep from being stored.
const secret = "s3cr3t-0f-jane"

// FuzzAdmit checks of any properties that Admit never panics, that what it stores
// is valid JSON, that no secret that a rule names is in it, and that all that no
// rule is about is as it was.
func FuzzAdmit(f *testing.F) {
	for _, seed := range []string{
		`{"email":"` + secret + `","plan":"free"}`, `{"items":[{"email":"` + secret + `"},[{"email":{"x":"` + secret + `"}}]],"n":1.10}`,
		`{"pin":["` + secret + `"],"age":"x","ip":"1.2.3.4"}`, `{"a":{"b":{"email":"` + secret + `"}},"ip":"` + secret + `"}`,
		`{"\u0065mail":"` + secret + `","age":1e400,"plan":null}`, `{"card":{"n":"` + secret + `","` + secret + `":1}}`, `{}`, `{"tags":[1,"a",null]}`,
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(3))
	}
	schema := `{"properties":{"plan":{"enum":["free"]},"email":{"type":"string","maxLength":5},"age":{"type":"integer","multipleOf":2},"card":{"properties":{"n":{"type":"integer"}},"additionalProperties":false},
		"tags":{"uniqueItems":true,"items":{"type":"string"}},"items":{"items":{"anyOf":[{"type":"object"},{"type":"array"}]}}},"required":["plan"],"unevaluatedProperties":false}`
	rules := Privacy{Hash: paths("email", "items.*.email", "a.*.email", "card"), Drop: paths("pin"), Truncate: []Truncation{{Path: []string{"ip"}}, {[]string{"name"}, 3}}}
	var policies []*Policy
	for _, mode := range Modes {
		policies = append(policies,
			compile(f, Definition{Schema: []byte(schema), Contract: Contract{mode, mode}, Privacy: rules}),
			compile(f, Definition{Columns: []Column{column(f, "age", "SMALLINT"), column(f, "plan", "VARCHAR(4)"), column(f, "x", "DATE", "a", "x")}, Required: paths("plan"), Contract: Contract{mode, mode}, Privacy: rules}))
	}
	f.Fuzz(func(t *testing.T, src []byte, which uint8) {
		end, _, err := decode.Scan(src, 0, 64)
		if err != nil || end != len(src) {
			return
		}
		src = decode.Compact(nil, src)
		if src[0] != '{' {
			return
		}
		before := bytes.Clone(src)
		p := policies[int(which)%len(policies)]
		e := arbalest.Event{Name: "user.created", Properties: src}
		refusal := p.Admit(&e, false)
		if !bytes.Equal(src, before) {
			t.Fatal("the bytes that were given are changed")
		}
		if refusal != nil {
			if !bytes.Equal(e.Properties, src) || e.Attributes != nil {
				t.Fatal("an event that is refused is changed")
			}
			body, _, _, ok := p.Protect(append(append([]byte(`{"event":"user.created","data":`), src...), '}'), nil)
			if ok {
				checkStored(t, body)
				checkHidden(t, before, string(body)+refusal.Reason)
			}
			return
		}
		checkStored(t, e.Properties)
		if e.Attributes != nil {
			checkStored(t, e.Attributes)
		}
		checkHidden(t, before, string(e.Properties)+string(e.Attributes))
	})
}

func checkStored(t *testing.T, text []byte) {
	t.Helper()
	if end, _, err := decode.Scan(text, 0, 70); err != nil || end != len(text) || text[0] != '{' {
		t.Fatalf("%s: %v", text, err)
	}
}

// checkHidden holds that the secret is in what is stored only if it is somewhere
// where no rule is about it.
func checkHidden(t *testing.T, before []byte, stored string) {
	t.Helper()
	if !strings.Contains(stored, secret) {
		return
	}
	var value map[string]any
	if json.Unmarshal(before, &value) != nil {
		return
	}
	for _, key := range []string{"email", "card", "pin", "ip", "name"} {
		delete(value, key)
	}
	for _, key := range []string{"items", "a"} {
		value[key] = strip(value[key])
	}
	rest, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(rest, []byte(secret)) {
		t.Fatalf("the secret of %s is stored: %s", before, stored)
	}
}

// strip takes out every email.
func strip(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "email")
		for key := range v {
			v[key] = strip(v[key])
		}
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
	}
	return v
}

// FuzzEdit checks that of an edit which takes members out everything else is
// there byte for byte.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(`{ "a" : 1.10 , "b":[1, {"x":2}], "c":"\u0041"}`), "b")
	f.Add([]byte(`{"a":{"a":1},"b":2}`), "a")
	f.Fuzz(func(t *testing.T, src []byte, key string) {
		end, _, err := decode.Scan(src, 0, 64)
		if err != nil || end != len(src) || src[space(src, 0)] != '{' {
			return
		}
		var c cut
		c.add([]string{key}, "")
		got, ok := new(edit).run(src, nil, &c)
		if !ok {
			t.Fatal("it has grown")
		}
		var want, is [][2]string
		_ = decode.Members(src, func(k, v []byte) error {
			if string(k) != key {
				want = append(want, [2]string{string(k), string(v)})
			}
			return nil
		})
		_ = decode.Members(got, func(k, v []byte) error { is = append(is, [2]string{string(k), string(v)}); return nil })
		if !reflect.DeepEqual(want, is) {
			t.Fatalf("%s without %q is %s", src, key, got)
		}
		if end, _, err := decode.Scan(got, 0, 64); err != nil || end != len(got) {
			t.Fatalf("%s: %v", got, err)
		}
	})
}
