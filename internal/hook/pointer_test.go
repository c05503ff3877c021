package hook

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
)

// The examples of RFC 6901, section 5, but for the whole document.
func TestPointer(t *testing.T) {
	const doc = ` { "foo": ["bar", "baz"] , "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8, "o": {"p": [ ], "q": [ {"r":[1 , 2]} ,null] } } `
	for text, want := range map[string]string{
		"/foo": `["bar", "baz"]`, "/foo/0": `"bar"`, "/foo/1": `"baz"`, "/": "0", "/a~1b": "1", "/c%d": "2", "/e^f": "3", "/g|h": "4", `/i\j`: "5", `/k"l`: "6", "/ ": "7", "/m~0n": "8",
		"/foo/2": "", "/foo/-": "", "/foo/01": "", "/foo/": "", "/foo/0/x": "", "/nothing": "", "/o/p/0": "", "/o/q/0/r/1": "2", "/o/q/1": "null", "/o/q/1/x": "", "/a~1b/x": "",
		"/foo/99999999999999999999": "", "/foo/a": "",
	} {
		p, err := parsePointer(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := p.find([]byte(doc)); string(bytes.TrimRight(got, " ")) != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "a", "/~", "/~2", "/a~/b", "/~01~"} {
		if p, err := parsePointer(text); err == nil {
			t.Errorf("%q: %q", text, p)
		}
	}
	if p, err := parsePointer("/~01"); err != nil || p[0] != "~1" {
		t.Errorf("%q, %v", p, err)
	}
}

// FuzzPointer compares with what encoding/json finds.
func FuzzPointer(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"x"}],"":{}}`), "/a/1/b")
	f.Add([]byte(`[[],[ ]]`), "/1/0")
	f.Add([]byte(`{"~":{"/":0}}`), "/~0/~1")
	f.Fuzz(func(t *testing.T, doc []byte, text string) {
		p, err := parsePointer(text)
		if err != nil || check(doc) != nil && (len(trim(doc)) == 0 || trim(doc)[0] != '[' || !json.Valid(doc)) {
			return
		}
		if check(doc) != nil && check(append(append([]byte(`{"x":`), doc...), '}')) != nil {
			return // an array that is not as it is taken
		}
		got, want := p.find(doc), json.RawMessage(doc)
		for _, part := range p {
			object, array := map[string]json.RawMessage{}, []json.RawMessage{}
			i, bad := strconv.Atoi(part)
			switch {
			case json.Unmarshal(want, &object) == nil:
				want = object[part]
			case json.Unmarshal(want, &array) == nil && bad == nil && strconv.Itoa(i) == part && i >= 0 && i < len(array):
				want = array[i]
			default:
				want = nil
			}
			if want == nil {
				break
			}
		}
		if !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(want)) {
			t.Fatalf("%s of %s: %q, want %q", text, doc, got, want)
		}
	})
}
