package shell

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func entries(t *testing.T, in *Input) []Entry {
	t.Helper()
	var out []Entry
	for {
		e, err := in.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
}

func TestStatementsOfAScript(t *testing.T) {
	for text, want := range map[string][]Entry{
		"":                            nil,
		" ;;\n; -- nothing\n/* ; */":  nil,
		"select 1":                    {{"select 1", false, 1}},
		"select 1; select 2;\n":       {{"select 1", false, 1}, {"select 2", false, 1}},
		"-- a;\n\nselect\r\n 1\n;\nx": {{"select\n 1", false, 3}, {"x", false, 6}},
		"select ';', \";\" /* ; /* ; */ ; */, $$;$$, $a$;$$;$a$, E'\\';' -- ;\n, 'it''s;'; y": {
			{"select ';', \";\" /* ; /* ; */ ; */, $$;$$, $a$;$$;$a$, E'\\';' -- ;\n, 'it''s;'", false, 1}, {"y", false, 2}},
		"\\x\nselect 1;\n \\format csv \nselect\n\\timing\n2;": {
			{`\x`, true, 1}, {"select 1", false, 2}, {`\format csv`, true, 3}, {`\timing`, true, 5}, {"select\n\n2", false, 4}},
		"select '\n\\x\n';":   {{"select '\n\\x\n'", false, 1}},
		"select 'never; \n a": {{"select 'never; \n a", false, 1}},
		"select $1, a$b; z":   {{"select $1, a$b", false, 1}, {"z", false, 1}},
		"select type'x;y'; z": {{"select type'x;y'", false, 1}, {"z", false, 1}},
	} {
		if got := entries(t, NewScript(strings.NewReader(text))); !slices.Equal(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestAnInterruptForgetsWhatWasTyped(t *testing.T) {
	said := []struct {
		line string
		err  error
	}{{"select", nil}, {"", ErrInterrupted}, {"select 1;", nil}, {"left over", nil}, {"", io.EOF}}
	var pending []string
	in := &Input{read: func(p string) (string, error) {
		pending = append(pending, p)
		s := said[0]
		said = said[1:]
		return s.line, s.err
	}}
	if _, err := in.Next(); !errors.Is(err, ErrInterrupted) {
		t.Errorf("%v", err)
	}
	if e, err := in.Next(); e.Text != "select 1" || err != nil {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := in.Next(); err != io.EOF {
		t.Errorf("%+v, %v: a statement that is not ended must not run", e, err)
	}
	if want := []string{"", "select\n", "", "", "left over\n"}; !slices.Equal(pending, want) {
		t.Errorf("asked after %q, want %q", pending, want)
	}
}

func TestOpenIn(t *testing.T) {
	for sql, want := range map[string]byte{"": 0, "select": 0, "'a": '\'', "'a''": '\'', `"a`: '"', "/* a /* b */": '*', "$$ a": '$', "$x$ $$": '$', "e'\\'": '\'', "-- '": 0, "$1": 0} {
		if got := openIn(sql); got != want {
			t.Errorf("%q: %q, want %q", sql, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for sql, want := range map[string]string{
		"select 1": "select 1", "select\n\t1 -- one\nfrom /* x */ a": "select 1 from a", "select ' a  b '": "select ' a  b '", "-- x\nselect": "select",
	} {
		if got, ok := oneLine(sql); got != want || !ok {
			t.Errorf("%q: %q, want %q", sql, got, want)
		}
	}
	if got, ok := oneLine("select 'a\nb'"); ok {
		t.Errorf("a string over two lines became %q", got)
	}
}

var catalog = Catalog{[]Table{
	{"", "user_created", []string{"event_id", "email_address"}},
	{"", "user_verified", []string{"event_id", "workflow", "Odd name"}},
	{"arbalest", "journal", []string{"commit", "table_name"}},
}}

func TestCompletes(t *testing.T) {
	for text, want := range map[string]string{ // ^ is the cursor
		"sel^":                                          "select ",
		"SEL^":                                          "SELECT ",
		"select * from ^":                               "user_created user_verified arbalest.journal",
		"select * from USER_C^":                         "user_created",
		"select * from a join user_v^":                  "user_verified",
		"select * from user_created, user_v^":           "user_verified",
		"select em^":                                    "email_address",
		"select wor^ from user_verified":                "workflow",
		"select em^ from user_verified":                 "",
		"select \"Odd^ from user_verified":              `"Odd name"`,
		"select c.^ from user_created c":                "c.event_id c.email_address",
		"select c.e^ from user_created AS c":            "c.event_id c.email_address",
		"select * from user_verified v where v.wo^":     "v.workflow",
		"select user_created.em^":                       "user_created.email_address",
		"select * from arbalest.^":                      "arbalest.journal",
		"select ^ from user_created":                    "email_address event_id",
		"select com^ from arbalest.journal":             "commit",
		"select 'sel^":                                  "",
		"select /* sel^":                                "",
		"sele\nsel^":                                    "select ",
		`\d user_c^`:                                    "user_created",
		`\f^`:                                           `\format`,
		`\format c^`:                                    "csv",
		`\x o^`:                                         "on off",
		"select date_t^":                                "date_trunc(",
		"select * from user_created where e^":           "email_address event_id else  end  except  exclude  exists  explain  extract(",
		"select * from user_created where event_id is^": "is ",
	} {
		before, after, _ := strings.Cut(text, "^")
		typed, got := catalog.complete(before, after)
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q of %q, want %q", text, got, typed, want)
		}
		for _, c := range got {
			if !strings.EqualFold(c[:len(typed)], typed) {
				t.Errorf("%q: %q does not go on from %q", text, c, typed)
			}
		}
	}
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	h := history{HistoryFile()}
	if h.path != filepath.Join(dir, "arbalest", "query_history") {
		t.Fatal(h.path)
	}
	if got, err := h.load(); got != nil || err != nil {
		t.Errorf("of nothing: %q, %v", got, err)
	}
	if err := h.add("select 1;"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.path, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2*historyEntries + 1 {
		if err := h.add("select 2;"); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.add(strings.Repeat("x", maxEntry+1)); err != nil {
		t.Fatal(err)
	}
	got, err := h.load()
	if err != nil || len(got) != historyEntries || got[0] != "select 2;" {
		t.Errorf("%d entries, %v", len(got), err)
	}
	info, err := os.Stat(h.path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != historyEntries*10 {
		t.Errorf("the file has mode %v and %d bytes, %v", info.Mode(), info.Size(), err)
	}
	if info, _ := os.Stat(filepath.Dir(h.path)); info.Mode().Perm() != 0o700 {
		t.Errorf("its folder has mode %v", info.Mode())
	}
}
