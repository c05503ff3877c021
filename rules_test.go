package arbalest_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayImport says which of the project's own packages each may import. The empty
// path is the root package, which all may.
var mayImport = map[string][]string{
	"":                                {},
	"internal/blob":                   {},
	"internal/blob/blobtest":          {"internal/blob"},
	"internal/decode":                 {},
	"internal/lake":                   {"internal/blob"},
	"internal/capture":                {"internal/decode", "internal/lake"},
	"internal/shell":                  {"internal/sqltext"},
	"internal/sqltext":                {},
	"internal/strict":                 {},
	"internal/keys":                   {"internal/capture", "internal/strict"},
	"internal/hook":                   {"internal/capture", "internal/decode"},
	"internal/form":                   {"internal/capture", "internal/decode"},
	"internal/policy":                 {"internal/capture", "internal/decode", "internal/load"},
	"internal/load":                   {"internal/decode", "internal/lake"},
	"internal/source":                 {"internal/capture", "internal/decode", "internal/form"},
	"internal/load/warehousetest":     {"internal/blob", "internal/decode", "internal/lake", "internal/load"},
	"internal/duckdb":                 {"internal/decode", "internal/load", "internal/sqltext", "internal/warehouse"},
	"internal/pgwire":                 {"internal/duckdb", "internal/sqltext", "internal/warehouse"},
	"internal/saved":                  {},
	"internal/web":                    {"internal/archive", "internal/lake", "internal/load", "internal/model", "internal/saved", "internal/warehouse", "pipeline"},
	"internal/archive":                {"internal/blob", "internal/decode", "internal/lake", "internal/load", "internal/warehouse"},
	"internal/model":                  {"internal/sqltext", "internal/warehouse"},
	"internal/warehouse":              {"internal/blob", "internal/decode", "internal/load"},
	"internal/postgres":               {"internal/blob", "internal/decode", "internal/load", "internal/warehouse"},
	"internal/postgres/postgrestest":  {},
	"internal/warehouse/databasetest": {"internal/blob", "internal/load/warehousetest", "internal/warehouse"},
	"internal/s3":                     {"internal/blob"},
	"internal/s3/s3test":              {},
	"internal/redshift":               {"internal/blob", "internal/decode", "internal/warehouse"},
	"internal/redshift/redshifttest":  {"internal/blob", "internal/postgres/postgrestest"},
	"connect":                         {"internal/blob", "internal/duckdb", "internal/load", "internal/postgres", "internal/redshift", "internal/s3", "internal/warehouse"},
	"pipeline":                        {"internal/blob", "internal/decode", "internal/strict", "internal/warehouse"},
	"cmd/arbalest":                    {"connect", "internal/archive", "internal/blob", "internal/capture", "internal/decode", "internal/duckdb", "internal/form", "internal/hook", "internal/keys", "internal/lake", "internal/load", "internal/model", "internal/pgwire", "internal/policy", "internal/saved", "internal/shell", "internal/source", "internal/strict", "internal/warehouse", "internal/web", "pipeline"},
	"bench":                           {"internal/archive", "internal/blob", "internal/capture", "internal/decode", "internal/duckdb", "internal/lake", "internal/load"},
	"bench/amplab":                    {"connect", "internal/blob", "internal/capture", "internal/lake", "internal/load", "internal/postgres/postgrestest", "internal/warehouse"},
	"bench/cost":                      {},
	"e2e":                             {},
}

// doors says which packages may import a third party.
var doors = map[string][]string{
	"github.com/aws/":             {"internal/redshift", "internal/s3"},
	"github.com/johannesboyne/":   {"internal/s3/s3test"},
	"github.com/duckdb/":          {"internal/duckdb", "bench"},
	"github.com/jackc/":           {"internal/pgwire", "internal/postgres", "internal/postgres/postgrestest", "internal/redshift", "internal/redshift/redshifttest"},
	"github.com/spf13/":           {"cmd/arbalest"},
	"github.com/ergochat/":        {"internal/shell"},
	"github.com/goccy/":           {"internal/strict", "pipeline", "cmd/arbalest", "internal/keys"},
	"github.com/robfig/":          {"cmd/arbalest"},
	"github.com/prometheus/":      {"internal/capture", "internal/hook", "cmd/arbalest"},
	"github.com/jedib0t/":         {"cmd/arbalest"},
	"github.com/schollz/":         {"cmd/arbalest"},
	"github.com/santhosh-tekuri/": {"internal/policy"},
	"github.com/nats-io/":         {"internal/source"},
	"github.com/rabbitmq/":        {"internal/source"},
	"github.com/twmb/":            {"internal/source"},
	"github.com/oklog/ulid":       {"internal/lake", "internal/redshift", "pipeline"},
	"golang.org/x/sys":            {"internal/blob"},
	"golang.org/x/term":           {"cmd/arbalest"},
}

// A goFile is a parsed source file of the project.
type goFile struct {
	path string
	pkg  string // its folder
	ast  *ast.File
	src  []byte
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "peers" || d.Name() == "clients" || d.Name() == "node_modules" || p != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(p))
		if pkg == "." {
			pkg = ""
		}
		files = append(files, goFile{filepath.ToSlash(p), pkg, f, src})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 30 {
		t.Fatalf("only %d files found", len(files))
	}
	return files
}

func TestImportsRunOneWay(t *testing.T) {
	for _, f := range goFiles(t) {
		allowed, known := mayImport[f.pkg]
		if !known {
			t.Errorf("%s: package %s is not in mayImport: say what it may import", f.path, f.pkg)
			continue
		}
		test := strings.HasSuffix(f.path, "_test.go")
		for _, spec := range f.ast.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if own, ok := strings.CutPrefix(imported, "arbalest/"); ok && !test && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which %q may not", f.path, own, f.pkg)
			}
			if f.pkg == "" && strings.Contains(imported, ".") {
				t.Errorf("%s imports %s: the vocabulary has the standard library only", f.path, imported)
			}
			for prefix, packages := range doors {
				if strings.HasPrefix(imported, prefix) && !test && !slices.Contains(packages, f.pkg) {
					t.Errorf("%s imports %s, whose door is %v", f.path, imported, packages)
				}
			}
		}
	}
}

func TestNoInitNoLongFiles(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init", f.path)
			}
		}
		if n := bytes.Count(f.src, []byte{'\n'}); n > 800 {
			t.Errorf("%s has %d lines: split it by noun", f.path, n)
		}
	}
}

func TestPackagesHaveComments(t *testing.T) {
	commented := map[string]bool{}
	for _, f := range goFiles(t) {
		if !strings.HasSuffix(f.path, "_test.go") {
			commented[f.pkg] = commented[f.pkg] || f.ast.Doc != nil
		}
	}
	for pkg, ok := range commented {
		if !ok {
			t.Errorf("package %q has no comment that says what it is, what it stores, and where its commit point is", pkg)
		}
	}
}

// symbol matches `pkg.Name` and `pkg.Type.Name` in documents.
var symbol = regexp.MustCompile("`([a-z]+)\\.([A-Z][A-Za-z0-9]*)(?:\\.([A-Z][A-Za-z0-9]*))?`")

func TestDocumentsNameSymbolsThatExist(t *testing.T) {
	declared, packages := map[string]bool{}, map[string]bool{}
	for _, f := range goFiles(t) {
		name := strings.TrimSuffix(f.ast.Name.Name, "_test")
		packages[name] = true
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				declared[name+"."+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						declared[name+"."+spec.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							declared[name+"."+n.Name] = true
						}
					}
				}
			}
		}
	}
	documents, err := filepath.Glob("doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, _ := filepath.Glob("doc/decisions/*.md")
	named := 0
	for _, doc := range append(append(documents, decisions...), "README.md", "CONTRIBUTING.md", "CHANGELOG.md") {
		b, err := os.ReadFile(doc)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range symbol.FindAllSubmatch(b, -1) {
			named++
			if pkg := string(m[1]); packages[pkg] && !declared[pkg+"."+string(m[2])] {
				t.Errorf("%s names %s, which does not exist", doc, m[0])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a symbol: has the pattern rotted?")
	}
}

// testRow matches a row of doc/arbalest.md: a test of the original, what it
// holds, and ours.
var testRow = regexp.MustCompile("(?m)^\\| `(test_[a-z0-9_]+)` \\| .+ \\| (.+) \\|$")

// originals are how many tests the original has, by file.
var originals = map[string]int{
	"test/redshift/test_property.py": 5, "test/redshift/test_json_object_schema.py": 5, "test/s3/test_bucket.py": 4,
	"test/redshift/test_bulk_copy_from_s3_json_step.py": 10, "test/redshift/test_manifest.py": 14, "test/redshift/test_sql_manifest.py": 14,
	"test/redshift/test_manifest_copy_from_s3_json_step.py": 11, "test/redshift/test_target_table.py": 8, "integration/test_target_table.py": 9,
	"test/redshift/test_sql_step.py": 3, "integration/test_sql_step.py": 2, "integration/test_database.py": 2,
	"test/pipeline/test_s3_sorted_data_sources.py": 9, "test/pipeline/test_sql_time_series_update.py": 2,
	"test/redshift/test_s3_bulk_copy_pipeline.py": 4, "test/redshift/test_s3_copy_pipeline.py": 6, "test/contrib/test_luigi.py": 1,
}

// TestTheOriginalsTestsHaveTheirs holds that doc/arbalest.md has every test of
// the original, each with tests of ours that exist, or why it has none.
func TestTheOriginalsTestsHaveTheirs(t *testing.T) {
	tests := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasSuffix(f.path, "_test.go") {
				tests[strings.TrimSuffix(f.ast.Name.Name, "_test")+"."+fn.Name.Name] = true
			}
		}
	}
	b, err := os.ReadFile("doc/arbalest.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile("(?m)^`((?:test|integration)/[a-z0-9_/]+\\.py)`").Split(string(b), -1)
	files := regexp.MustCompile("(?m)^`((?:test|integration)/[a-z0-9_/]+\\.py)`").FindAllStringSubmatch(string(b), -1)
	if len(files) != len(originals) {
		t.Errorf("%d files are named, want %d", len(files), len(originals))
	}
	for i, file := range files {
		seen := map[string]bool{}
		for _, row := range testRow.FindAllStringSubmatch(parts[i+1], -1) {
			seen[row[1]] = true
			named := symbol.FindAllStringSubmatch(row[2], -1)
			if len(named) == 0 && !strings.Contains(row[2], "Not kept") {
				t.Errorf("%s, %s: no test of ours, and not why", file[1], row[1])
			}
			for _, m := range named {
				if !tests[m[1]+"."+m[2]] {
					t.Errorf("%s, %s: there is no test %s.%s", file[1], row[1], m[1], m[2])
				}
			}
		}
		if len(seen) != originals[file[1]] {
			t.Errorf("%s has %d tests here, the original %d", file[1], len(seen), originals[file[1]])
		}
	}
}
