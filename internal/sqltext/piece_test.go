package sqltext

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// write writes pieces as kind:text, with … after what is not closed.
func write(sql string) string {
	var out []string
	for p := range Pieces(sql) {
		s := [...]string{"blank", "comment", "word", "quoted", "text", "number", "parameter", "symbol"}[p.Kind] + ":" + p.Text
		if !p.Closed {
			s += "…"
		}
		out = append(out, s)
	}
	return strings.Join(out, "|")
}

func TestPieces(t *testing.T) {
	for _, test := range [][2]string{
		{"", ""},
		{"a_1$é B", "word:a_1$é|blank: |word:B"},
		{" \t\r\n\f\v\u00a0\ufeff", "blank: \t\r\n\f\v\u00a0\ufeff"},
		{"a\u00a0é\u2003$", "word:a|blank:\u00a0|word:é|blank:\u2003|symbol:$"},
		{"-- a\nb", "comment:-- a\n|word:b"},
		{"--\rb", "comment:--\r|word:b"},
		{"-- '", "comment:-- '"},
		{"/* a /* b */ ' */c", "comment:/* a /* b */ ' */|word:c"},
		{"/*/*/**/*/*/", "comment:/*/*/**/*/*/"},
		{"/*/", "comment:/*/…"},
		{"/* /* */", "comment:/* /* */…"},
		{"'it''s'''", "text:'it''s'''"},
		{`'\';`, `text:'\'|symbol:;`},
		{"'a''", "text:'a''…"},
		{`E'\'''a'e'\\'`, `text:E'\'''a'|text:e'\\'`},
		{`E'\'`, `text:E'\'…`},
		{`E'\`, `text:E'\…`},
		{"se'x'x'ab'", "word:se|text:'x'|word:x|text:'ab'"},
		{`"a""b;" "c`, `quoted:"a""b;"|blank: |quoted:"c…`},
		{"$$a'$$$a_1$;$$$a$$a_1$", "text:$$a'$$|text:$a_1$;$$$a$$a_1$"},
		{"$é$x$é$", "text:$é$x$é$"},
		{"$a$b$a", "text:$a$b$a…"},
		{"a$b$c$b$", "word:a$b$c$b$"},
		{"$1$a$1$", "parameter:$1|text:$a$1$…"},
		{"$12+$a $", "parameter:$12|symbol:+|symbol:$|word:a|blank: |symbol:$"},
		{"$a\u00a0b$", "symbol:$|word:a|blank:\u00a0|word:b$"},
		{"1 1_000 1.5e-5 1E+5 0x1F", "number:1|blank: |number:1_000|blank: |number:1.5e-5|blank: |number:1E+5|blank: |number:0x1F"},
		{"0Xe+5", "number:0Xe|symbol:+|number:5"},
		{"1e--2", "number:1e|comment:--2"},
		{"1\u00a0a", "number:1|blank:\u00a0|word:a"},
		{".5;", "symbol:.|number:5|symbol:;"},
		{"a::b->>'c'!~~*d", "word:a|symbol:::|word:b|symbol:->>|text:'c'|symbol:!~~*|word:d"},
		{"a-->b", "word:a|comment:-->b"},
		{"(\x00)", "symbol:(|symbol:\x00|symbol:)"},
		{"a\xff", "word:a\xff"},
	} {
		if got := write(test[0]); got != test[1] {
			t.Errorf("%q\n got %q\nwant %q", test[0], got, test[1])
		}
	}
}

func TestSolid(t *testing.T) {
	for k := Blank; k <= Symbol; k++ {
		if k.Solid() != (k != Blank && k != Comment) {
			t.Errorf("kind %d: %v", k, k.Solid())
		}
	}
}

func TestName(t *testing.T) {
	for quoted, want := range map[string]string{`"a"`: "a", `"a""b"`: `a"b`, `""`: "", `"`: "", `"a`: "a"} {
		if got := Name(quoted); got != want {
			t.Errorf("%s: %s, want %s", quoted, got, want)
		}
	}
}

// FuzzPieces holds that pieces are all of the SQL, that only the last can be open,
// and that what is in a nested comment or between tags does not matter.
func FuzzPieces(f *testing.F) {
	for _, s := range []string{"SELECT 1", "$1", "$a$b$a$", "E'\\'", "/* /* */", "\"a\"\"", "1e+5", "-- a\r", "a\u00a0\xc2", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		rest := sql
		for p := range Pieces(sql) {
			if p.Text == "" || !strings.HasPrefix(rest, p.Text) {
				t.Fatalf("%q: %q is not what comes next", sql, p.Text)
			}
			if rest = rest[len(p.Text):]; rest != "" && !p.Closed {
				t.Fatalf("%q: %q is open, and more follows", sql, p.Text)
			}
			if p.Kind == Quoted {
				_ = Name(p.Text)
			}
		}
		if rest != "" {
			t.Fatalf("%q is without its end %q", sql, rest)
		}
		for _, enclosed := range []Piece{
			{Comment, "/* /*" + strings.NewReplacer("*", "", "/", "").Replace(sql) + "*/ */", true},
			{Text, "$é1$" + strings.ReplaceAll(sql, "$", "") + "$é1$", true},
			{Text, "'" + strings.ReplaceAll(sql, "'", "''") + "'", true},
			{Quoted, `"` + strings.ReplaceAll(sql, `"`, `""`) + `"`, true},
			{Text, "E'" + strings.NewReplacer("'", `\'`, `\`, `\\`).Replace(sql) + "'", true},
		} {
			if got := slices.Collect(Pieces(enclosed.Text + ";")); len(got) != 2 || got[0] != enclosed {
				t.Fatalf("%q has the pieces %s", enclosed.Text, fmt.Sprint(got))
			}
		}
	})
}
