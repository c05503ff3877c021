package warehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/blob"
)

func packed(t testing.TB, codec, text string) string {
	t.Helper()
	var b bytes.Buffer
	switch codec {
	case "gz":
		w := gzip.NewWriter(&b)
		w.Write([]byte(text))
		w.Close()
	case "zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
		w.Close()
	default:
		return text
	}
	return b.String()
}

func column(name, kind string, path ...string) arbalest.Column {
	typ, err := arbalest.ParseType(kind)
	if err != nil {
		panic(err)
	}
	return arbalest.Column{Name: name, Type: typ, Path: path}
}

// feedOf feeds objects and returns the rows as "a|b", with the reports.
func feedOf(t testing.TB, c Copy, objects map[string]string) (rows map[string]int, done Copied, err error) {
	t.Helper()
	store := blob.NewMemory()
	c.Store = store
	for key, text := range objects {
		if err := store.Put(t.Context(), arbalest.Key(key), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		c.Objects = append(c.Objects, blob.Info{Key: arbalest.Key(key), Size: int64(len(text))})
	}
	rows = map[string]int{}
	done, err = Feed(t.Context(), c, func(pages []Page) error {
		for _, p := range pages {
			for row := range p.Rows {
				var values []string
				for _, v := range p.Columns {
					null := v.Nulls > 0 && v.Valid[row/8]>>(row%8)&1 == 0
					switch {
					case null:
						values = append(values, "NULL")
					case v.Offsets != nil:
						values = append(values, string(v.Data[v.Offsets[row]:v.Offsets[row+1]]))
					default:
						values = append(values, fmt.Sprint(v.Int32[row]))
					}
				}
				rows[strings.Join(values, "|")]++
			}
		}
		return nil
	})
	return rows, done, err
}

func TestFeedReadsDocumentsHoweverTheyAreLaidOut(t *testing.T) {
	c := Copy{Columns: []arbalest.Column{column("a", "INTEGER", "a"), column("b", "VARCHAR(9)", "x.y", "b"), column("all", "SUPER")}}
	pretty := "{\n  \"a\": 3,\n  \"x.y\": {\"b\": \"three\"}\n}"
	for _, codec := range []string{"", "gz", "zst"} {
		suffix := ""
		if codec != "" {
			suffix = "." + codec
		}
		rows, done, err := feedOf(t, c, map[string]string{
			"lines" + suffix:  packed(t, codec, "{\"a\":1}\n\n{\"a\":2,\"x.y\":{\"b\":\"two\"}}"),
			"pretty" + suffix: packed(t, codec, pretty+"\r\n"+pretty),
			"joined" + suffix: packed(t, codec, `{"a":4}{"a":5} {"a":6}`),
			"empty" + suffix:  packed(t, codec, " \n"),
		})
		if err != nil || done.Rows != 7 || done.Errors != 0 {
			t.Fatalf("%s: %+v, %v", codec, done, err)
		}
		want := map[string]int{`1|NULL|{"a":1}`: 1, `2|two|{"a":2,"x.y":{"b":"two"}}`: 1, `3|three|{"a":3,"x.y":{"b":"three"}}`: 2, `4|NULL|{"a":4}`: 1, `5|NULL|{"a":5}`: 1, `6|NULL|{"a":6}`: 1}
		if fmt.Sprint(rows) != fmt.Sprint(want) {
			t.Errorf("%s: rows are %v, want %v", codec, rows, want)
		}
	}
}

func TestFeedReportsEveryBadRowWithItsPlace(t *testing.T) {
	text := strings.Join([]string{
		`{"a":1}`,                 // 1
		`{"a":"x"}`,               // 2: not a number
		`{"a":2`,                  // 3: cut off
		`{"a":3}`,                 // 4
		`[1]`,                     // 5: not an object
		`{"a":1,"a":2} {"a":4}`,   // 6: twice, and the line is given up
		"{\"a\":\n\n99999999999}", // 7: too large
		`{"a":5}`,                 // 10
	}, "\n")
	c := Copy{Columns: []arbalest.Column{column("a", "INTEGER", "a")}, MaxErrors: 100}
	rows, done, err := feedOf(t, c, map[string]string{"o": text})
	if err != nil {
		t.Fatal(err)
	}
	if done.Rows != int64(rows["1"]+rows["3"]+rows["5"]) || rows["5"] != 1 || rows["3"] != 1 || rows["1"] != 1 || len(rows) != 3 {
		t.Errorf("rows are %v, %+v", rows, done)
	}
	lines := map[int64]string{}
	for _, r := range done.Reports {
		lines[r.Line] = r.Column + ": " + r.Reason
	}
	for line, want := range map[int64]string{2: "a: ", 3: ": not JSON", 5: ": the document is not", 6: ": not JSON", 7: "a: "} {
		if !strings.HasPrefix(lines[line], want) {
			t.Errorf("line %d is reported as %q, want %q…", line, lines[line], want)
		}
	}
	if done.Errors != 5 {
		t.Errorf("%d errors, want 5: %v", done.Errors, lines)
	}
	for most, fails := range map[int]bool{0: true, 1: true, 5: true, 6: false} {
		c.MaxErrors = most
		_, _, err := feedOf(t, c, map[string]string{"o": text})
		var too *CopyError
		if errors.As(err, &too) != fails || fails && !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("with at most %d errors: %v", most, err)
		}
	}
}

func TestFeedGivesUpDamagedAndMissingObjects(t *testing.T) {
	c := Copy{Columns: []arbalest.Column{column("a", "INTEGER", "a")}, MaxErrors: 1000}
	whole := packed(t, "gz", strings.Repeat("{\"a\":1}\n", 1000))
	for name, text := range map[string]string{"cut.gz": whole[:len(whole)/2], "not.gz": "{}", "cut.zst": packed(t, "zst", strings.Repeat("{\"a\":1}\n", 1000))[:20]} {
		if rows, _, err := feedOf(t, c, map[string]string{name: text}); !errors.Is(err, arbalest.ErrCorrupt) {
			t.Errorf("%s: %v rows, %v, want ErrCorrupt", name, rows, err)
		}
	}
	c.Store, c.Objects = blob.NewMemory(), []blob.Info{{Key: "gone"}}
	if _, err := Feed(t.Context(), c, nil); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("missing object: %v, want ErrUnknown", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Feed(ctx, c, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFeedOfLargeObjects(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, "{\"a\":%d,\"pad\":\"%s\"}\n", i, strings.Repeat("é", i%300))
	}
	c := Copy{Columns: []arbalest.Column{column("a", "INTEGER", "a")}}
	rows, done, err := feedOf(t, c, map[string]string{"big.zst": packed(t, "zst", b.String()), "big": b.String()})
	if err != nil || done.Rows != 400_000 || len(rows) != 200_000 || rows["199999"] != 2 {
		t.Fatalf("%+v, %d different, %v", done, len(rows), err)
	}
	huge := `{"a":1,"pad":"` + strings.Repeat("x", maxDocument) + `"}` + "\n" + `{"a":2}`
	c.MaxErrors = 9
	rows, done, err = feedOf(t, c, map[string]string{"huge": huge})
	if err != nil || rows["2"] != 1 || done.Errors != 1 || !strings.Contains(done.Reports[0].Reason, "at most") {
		t.Errorf("a document that is too large: %+v, %v", done, err)
	}
}

// FuzzSplitter holds that the documents of a text are the same however it comes
// in, and that it ends.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"a\":\n2} x {\"b\":3}\ntrue 12"))
	f.Add([]byte("{\"a\"\n:[1,{}]}\n\n}{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all := func(s *splitter) (out []string) {
			for {
				doc, line, bad, err := s.next()
				if err != nil {
					return out
				}
				if bad != nil {
					doc = append([]byte("bad "), bad.text...)
				}
				out = append(out, fmt.Sprintf("%d %s", line, doc))
				if len(out) > len(text) {
					t.Fatalf("more documents than bytes: %q", out)
				}
			}
		}
		var whole, bit splitter
		whole.reset(bytes.NewReader(text))
		bit.reset(iotest.OneByteReader(bytes.NewReader(text)))
		if a, b := all(&whole), all(&bit); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%q\n%q", a, b)
		}
	})
}
