package decode

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
)

// dataLines returns the lines of a file of the project's real data.
func dataLines(tb testing.TB, name string) [][]byte {
	tb.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", name))
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatal(err)
		}
		tb.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var lines [][]byte
	scan := bufio.NewScanner(z)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		lines = append(lines, bytes.Clone(scan.Bytes()))
	}
	if err := scan.Err(); err != nil {
		tb.Fatal(err)
	}
	return lines
}

func TestScanAccepts(t *testing.T) {
	for _, c := range []struct {
		src     string
		end     int
		compact bool
	}{
		{`{}`, 2, true}, {`[]`, 2, true}, {`""`, 2, true}, {`0`, 1, true}, {`-0`, 2, true}, {`null`, 4, true},
		{`true x`, 4, true}, {`1}`, 1, true}, {` 1`, 2, false}, {`[1, 2]`, 6, false}, {"{\"a\"\n:1}", 8, false},
		{`[1,2]  `, 5, true}, {`{"a":1,"A":2,"b":[{"a":1},{"a":2}]}`, 35, true},
		{`"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"`, 36, true}, {`"é😀 plain and long enough for words"`, 40, true},
		{`-12.50e+10`, 10, true}, {`1E5`, 3, true}, {`[[[[]]]]`, 8, true}, {`{"a":{"a":{"a":[]}}}`, 20, true},
		{`{"":1,"\u0000":2}`, 17, true},
	} {
		end, compact, err := Scan([]byte(c.src), 0, 4)
		if err != nil || end != c.end || compact != c.compact {
			t.Errorf("%s: end %d, compact %v, %v; want %d, %v", c.src, end, compact, err, c.end, c.compact)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	for _, c := range []struct {
		src    string
		offset int64
		reason string
	}{
		{``, 0, "ends"}, {`  `, 2, "ends"}, {`{`, 1, "ends"}, {`{"a"`, 4, "colon"}, {`{"a":`, 5, "ends"}, {`{"a":1`, 6, "ends"},
		{`{"a":1,}`, 7, "key"}, {`{,}`, 1, "key"}, {`{a:1}`, 1, "key"}, {`{'a':1}`, 1, "key"}, {`[1,]`, 3, "value"}, {`[1 2]`, 3, "comma"},
		{`"abc`, 4, "inside a string"}, {"\"a\nb\"", 2, "control"}, {"\"a\x00b\"", 2, "control"}, {"\"a\x1fb 12345678\"", 2, "control"},
		{"\"\xff\"", 1, "UTF-8"}, {"\"12345678\xc3\"", 9, "UTF-8"}, {"\"\xed\xa0\x80\"", 1, "UTF-8"}, {"\"\xc0\x80\"", 1, "UTF-8"},
		{`"\ud800"`, 1, "pair"}, {`"\ud800\n"`, 1, "pair"}, {`"\ud800\ud800"`, 1, "pair"}, {`"x\udc00"`, 2, "pairs"}, {`"\uD83D\u0041"`, 1, "pair"},
		{`"\x"`, 1, "escape"}, {`"\u12g4"`, 1, "hexadecimal"}, {`"\u12`, 1, "hexadecimal"}, {`"\`, 2, "ends"},
		{`01`, 0, "begins with 0"}, {`-`, 1, "digit"}, {`1.`, 2, "digit"}, {`.5`, 0, "value"}, {`1e`, 2, "digit"}, {`1e+`, 3, "digit"}, {`+1`, 0, "value"},
		{`NaN`, 0, "value"}, {`nul`, 0, "not true"}, {`True`, 0, "value"}, {`[tru]`, 1, "not true"},
		{"\xef\xbb\xbf{}", 0, "byte order mark"}, {"\xef", 0, "0xef"}, {`{"a":1,"b":2,"a":3}`, 13, "twice"}, {`{"a":1,"\u0061":3}`, 7, "twice"},
		{`[[[[[]]]]]`, 4, "deep"}, {`{"a":{"a":{"a":{"a":{}}}}}`, 20, "deep"},
		{`{"` + strings.Repeat("k", 20) + `":1,"` + strings.Repeat("k", 20) + `":1}`, 26, "twice"},
	} {
		end, _, err := Scan([]byte(c.src), 0, 4)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !errors.Is(err, arbalest.ErrInvalid) || end != 0 {
			t.Errorf("%s: end %d, %v", c.src, end, err)
		} else if syntax.Offset != c.offset || !strings.Contains(syntax.Reason, c.reason) {
			t.Errorf("%s: %v; want %q at %d", c.src, err, c.reason, c.offset)
		}
	}
}

func TestScanBombs(t *testing.T) {
	for _, open := range []string{"[", `{"a":`} {
		if _, _, err := Scan(bytes.Repeat([]byte(open), 10<<20/len(open)), 0, 64); err == nil {
			t.Errorf("a bomb of %s was accepted", open)
		}
	}
	for _, n := range []int{17, 100, 100_000} {
		var b []byte
		for i := range n {
			b = fmt.Appendf(b, `,"a key of some length %d and more":%d`, i, i)
		}
		obj := append(append([]byte{'{'}, b[1:]...), '}')
		if _, _, err := Scan(obj, 0, 4); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
		twice := append(obj[:len(obj)-1:len(obj)-1], `,"a key of some length 7 \u0061nd more":0}`...)
		if _, _, err := Scan(twice, 0, 4); err == nil {
			t.Errorf("%d keys and one again: accepted", n)
		}
	}
}

func TestMembers(t *testing.T) {
	var got []string
	err := Members([]byte(" { \"a\" : 1 ,\n\"\\u0062\\\"\":{\"x\": [1, \"}\"]}, \"\" :\"a\\\"\" ,\"n\":null , \"e\":[] } "), func(key, value []byte) error {
		got = append(got, string(key)+"="+string(value))
		return nil
	})
	want := "[a=1 b\"={\"x\": [1, \"}\"]} =\"a\\\"\" n=null e=[]]"
	if fmt.Sprint(got) != want || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	for _, none := range []string{`["a","b"]`, `"a"`, `1`, ``} {
		if err := Members([]byte(none), func(key, _ []byte) error { return fmt.Errorf("%s has the member %s", none, key) }); err != nil {
			t.Error(err)
		}
	}
	stop := errors.New("stop")
	if err := Members([]byte(`{"a":1,"b":2}`), func(_, _ []byte) error { return stop }); err != stop {
		t.Error(err)
	}
}

func TestUnquote(t *testing.T) {
	src := `"é \u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t\u0000"`
	var want string
	if err := json.Unmarshal([]byte(src), &want); err != nil {
		t.Fatal(err)
	}
	if got := string(Unquote([]byte("x"), []byte(src))); got != "x"+want {
		t.Errorf("%q; want %q", got, want)
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[true,null,-1.5e3,"\ud83d\ude00"]}`, ` [ 1 , { } ] `, `{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`, `[[[[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		end, compact, err := Scan(src, 0, 1000)
		if err != nil {
			checkRefusal(t, src, err)
			return
		}
		value := src[:end]
		if !json.Valid(value) {
			t.Fatalf("Scan accepts what encoding/json does not: %q", value)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, value); err != nil {
			t.Fatal(err)
		}
		if got := Compact(nil, value); !bytes.Equal(got, want.Bytes()) || compact != bytes.Equal(got, value) {
			t.Fatalf("%q compacted is %q, compact %v; want %q", value, got, compact, want.Bytes())
		}
		checkMembers(t, value)
	})
}

// checkRefusal says that what Scan refused is wrong by encoding/json too, or
// for one of the reasons that Scan is stricter in.
func checkRefusal(t *testing.T, src []byte, err error) {
	if !errors.Is(err, arbalest.ErrInvalid) {
		t.Fatal(err)
	}
	for _, strict := range []string{"UTF-8", "surrogate", "twice", "deep"} {
		if strings.Contains(err.Error(), strict) {
			return
		}
	}
	if json.Valid(src) {
		t.Fatalf("%q is refused: %v", src, err)
	}
}

// checkMembers compares Members and Unquote with encoding/json.
func checkMembers(t *testing.T, value []byte) {
	var want map[string]json.RawMessage
	if bytes.TrimSpace(value)[0] != '{' || json.Unmarshal(value, &want) != nil {
		return
	}
	n := 0
	if err := Members(value, func(key, raw []byte) error {
		n++
		if w, ok := want[string(key)]; !ok || !bytes.Equal(w, raw) {
			t.Fatalf("%q: member %q is %q; want %q", value, key, raw, w)
		}
		return nil
	}); err != nil || n != len(want) {
		t.Fatalf("%q: %d members, %v; want %d", value, n, err, len(want))
	}
}

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"commits.ndjson.gz", "github-webhooks.ndjson.gz"} {
		b.Run(name, func(b *testing.B) {
			src := bytes.Join(dataLines(b, name), []byte{'\n'})
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				for i := 0; i < len(src); {
					end, _, err := Scan(src, i, 64)
					if err != nil {
						b.Fatal(err)
					}
					i = end
				}
			}
		})
	}
}

func BenchmarkCompact(b *testing.B) {
	src := bytes.Join(dataLines(b, "commits.ndjson.gz"), []byte{'\n'})
	b.SetBytes(int64(len(src)))
	var dst []byte
	for b.Loop() {
		dst = Compact(dst[:0], src)
	}
}
