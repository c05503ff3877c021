package saved

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"arbalest"
)

func TestAQueryReadsAsItWasSaved(t *testing.T) {
	f := NewFolder(filepath.Join(t.TempDir(), "queries"))
	for _, q := range []Query{
		{Name: "a", Title: "Users, by day", Description: "What: it is", Chart: Chart{Kind: "line", X: "day", Y: []string{"n", `a "quoted", one`}, Series: "workflow"}, SQL: "SELECT 1"},
		{Name: "b", SQL: "-- title: not the title\nSELECT 'a\n\n-- chart: pie'"},
		{Name: "c", Title: "two\nlines", SQL: "\n\n  SELECT 1;"},
	} {
		saved, err := f.Save(q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Get(q.Name)
		if err != nil || got.Version == "" || !reflect.DeepEqual(got, saved) {
			t.Fatalf("got %+v, %v; saved %+v", got, err, saved)
		}
		if got.SQL != q.SQL || !reflect.DeepEqual(got.Chart, q.Chart) || got.Description != q.Description || got.Err != nil {
			t.Errorf("got %+v, want %+v", got, q)
		}
		if want := strings.Join(strings.Fields(q.Title), " "); got.Title != want && (want != "" || got.Title != q.Name) {
			t.Errorf("title is %q, want %q", got.Title, want)
		}
	}
}

func TestFilesWrittenByHand(t *testing.T) {
	for file, want := range map[string]Query{
		"SELECT 1": {Title: "q", SQL: "SELECT 1"},
		"-- title: T\r\n-- y: a, \"b,c\"\r\n\r\nSELECT 1\r\n": {Title: "T", Chart: Chart{Y: []string{"a", "b,c"}}, SQL: "SELECT 1"},
		"--title:T\nSELECT 1":                                        {Title: "T", SQL: "SELECT 1"},
		"-- a note: kept\n-- title: SQL already\nSELECT 1":           {Title: "q", SQL: "-- a note: kept\n-- title: SQL already\nSELECT 1"},
		"-- description: one\n-- description: two\n\n\n  SELECT 1\n": {Title: "q", Description: "one two", SQL: "\n  SELECT 1"},
		"-- title: only":                                             {Title: "only"},
		"":                                                           {Title: "q"},
	} {
		got := parse("q", []byte(file))
		want.Name, want.Version = "q", got.Version
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", file, got, want)
		}
	}
	bad := parse("q", []byte("-- title: T\n-- chart: pie\nSELECT 1"))
	if !errors.Is(bad.Err, arbalest.ErrInvalid) || !strings.Contains(bad.Err.Error(), "q.sql, line 2") || bad.SQL != "SELECT 1" {
		t.Errorf("got %+v", bad)
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	dir := t.TempDir()
	f := NewFolder(filepath.Join(dir, "queries"))
	for _, name := range []string{"", ".", "..", "../a", "a/b", `a\b`, ".a", "-a", "a.sql", "a b", "a\x00", "a\n", "ä", "%2e%2e", "a:b", strings.Repeat("a", 81)} {
		if _, err := f.Save(Query{Name: name, SQL: "SELECT 1"}); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%q is saved: %v", name, err)
		}
		if _, err := f.Get(name); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%q is read: %v", name, err)
		}
		if err := f.Delete(name, ""); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%q is deleted: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}

func TestLinksStayInTheFolder(t *testing.T) {
	dir := t.TempDir()
	queries := filepath.Join(dir, "queries")
	secret := filepath.Join(dir, "secret")
	if err := errors.Join(os.Mkdir(queries, 0o755), os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, filepath.Join(queries, "link.sql"))); err != nil {
		t.Fatal(err)
	}
	f := NewFolder(queries)
	if q, err := f.Get("link"); err == nil {
		t.Errorf("a file outside is read: %q", q.SQL)
	}
	list, err := f.List()
	if err != nil || len(list) != 1 || list[0].Err == nil || list[0].SQL != "" {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := f.Save(Query{Name: "link", SQL: "SELECT 1", Version: version([]byte("secret"))}); err == nil {
		t.Error("a link to outside is saved to")
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("the file outside has %q, %v", b, err)
	}
}

func TestChangesOfOthersAreKept(t *testing.T) {
	dir := t.TempDir()
	f := NewFolder(dir)
	first, err := f.Save(Query{Name: "q", SQL: "SELECT 1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Save(Query{Name: "q", SQL: "SELECT 2"}); !errors.Is(err, arbalest.ErrExists) {
		t.Errorf("a new query takes the place of another: %v", err)
	}
	second := first
	second.SQL = "SELECT 2"
	second, err = f.Save(second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Save(first); !errors.Is(err, arbalest.ErrExists) {
		t.Errorf("a change meanwhile is lost: %v", err)
	}
	if err := f.Delete("q", first.Version); !errors.Is(err, arbalest.ErrExists) {
		t.Errorf("a change meanwhile is deleted: %v", err)
	}
	if q, err := f.Get("q"); err != nil || q.SQL != "SELECT 2" {
		t.Errorf("got %+v, %v", q, err)
	}
	if err := f.Delete("q", second.Version); err != nil {
		t.Error(err)
	}
	if _, err := f.Save(second); !errors.Is(err, arbalest.ErrExists) {
		t.Errorf("a deleted query comes back: %v", err)
	}
	if err := f.Delete("q", second.Version); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("deleted twice: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("something is left: %v, %v", entries, err)
	}
}

func TestListIsByTitle(t *testing.T) {
	dir := t.TempDir()
	f := NewFolder(filepath.Join(dir, "none"))
	if list, err := f.List(); err != nil || list != nil {
		t.Fatalf("a folder that is not there has %v, %v", list, err)
	}
	f = NewFolder(dir)
	for name, text := range map[string]string{"b.sql": "-- title: Alpha\nSELECT 1", "a.sql": "-- title: beta\nSELECT 1", ".hidden.sql": "x", "other.txt": "x", "bad name.sql": "x", "big.sql": strings.Repeat("x", maxFile+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := f.List()
	if err != nil || len(list) != 3 || list[0].Name != "b" || list[1].Name != "a" || !errors.Is(list[2].Err, arbalest.ErrTooLarge) {
		t.Errorf("got %+v, %v", list, err)
	}
}
