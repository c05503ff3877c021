package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A dashboard is what Grafana reads of ours, as far as it is tested.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
			Datasource source
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Datasource  source
		Targets     []struct {
			Expr, RawSQL, Format string
			Datasource           source
		}
	}
}

type source struct{ Type, UID string }

var sources = []source{{"prometheus", "${prometheus}"}, {"grafana-postgresql-datasource", "${sql}"}}

// TestGrafana holds the dashboard against a running serve: each metric and label
// is in /metrics, and each statement has an answer of the form that its panel
// needs. Grafana itself does not run here.
func TestGrafana(t *testing.T) {
	b, err := os.ReadFile("../grafana/arbalest.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	metrics, conn := grafanaServed(t)
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for _, o := range d.Panels[:i] {
			a, b := p.GridPos, o.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H || a.X+a.W > 24 {
				t.Errorf("%s lies over %s", p.Title, o.Title)
			}
		}
		for _, target := range p.Targets {
			if !slices.Contains(sources, target.Datasource) || target.Datasource != p.Datasource {
				t.Errorf("%s: data source %v", p.Title, target.Datasource)
			}
			switch {
			case target.Expr != "":
				inMetrics(t, p.Title, target.Expr, metrics)
			default:
				answers(t, conn, p.Title, target.RawSQL, target.Format)
			}
		}
	}
	for _, v := range d.Templating.List {
		query := strings.Trim(string(v.Query), `"`)
		switch v.Datasource {
		case sources[0]:
			inMetrics(t, v.Name, query, metrics)
		case sources[1]:
			answers(t, conn, v.Name, query, "variable")
		}
		if used := strings.Count(string(b), "$"+v.Name) + strings.Count(string(b), "${"+v.Name); used == 0 {
			t.Errorf("variable %s is not used", v.Name)
		}
	}
}

// grafanaServed is what /metrics has, and a session, of a serve of which every
// panel has something to show.
func grafanaServed(t *testing.T) (metrics string, conn *pgx.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	dir := t.TempDir()
	config := "events: {user.verified: {columns: [{name: workflow, type: VARCHAR(3)}]}}\n"
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir, "--sql", address)
	_, a, err := post(s.url, `[{"event":"user.created","data":{"plan":1}},{"event":"user.verified","data":{"workflow":"mobile"}},{"event":"no name"}]`)
	if err != nil {
		t.Fatal(err)
	}
	loaded(t, s.url, a.Receipt)
	resp, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = pgx.Connect(t.Context(), "postgres://arbalest@"+address+"/arbalest"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return string(b), conn
}

var (
	metricNames = regexp.MustCompile(`\b(?:arbalest|process)_[a-z_]+`)
	labelNames  = regexp.MustCompile(`by \((\w+)\)`)
)

// inMetrics wants the metrics and labels of an expression in /metrics, but for
// the labels that Prometheus adds.
func inMetrics(t *testing.T, title, expr, metrics string) {
	t.Helper()
	names := metricNames.FindAllString(expr, -1)
	if len(names) == 0 {
		t.Errorf("%s: no metric in %s", title, expr)
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(metrics) {
			t.Errorf("%s: /metrics has no %s", title, name)
		}
		for _, m := range labelNames.FindAllStringSubmatch(expr, -1) {
			if label := m[1]; label != "instance" && !regexp.MustCompile(`(?m)^`+name+`\{[^}]*\b`+label+`="`).MatchString(metrics) {
				t.Errorf("%s: %s has no label %s", title, name, label)
			}
		}
	}
}

var timeFilter = regexp.MustCompile(`\$__timeFilter\((\w+)\)`)

// answers asks a statement as Grafana does, with its macros replaced, and wants
// rows: for time_series of a time, perhaps a name, and numbers.
func answers(t *testing.T, conn *pgx.Conn, title, sql, format string) {
	t.Helper()
	day := func(d int) string { return time.Now().UTC().AddDate(0, 0, d).Format(time.RFC3339Nano) }
	sql = timeFilter.ReplaceAllString(sql, fmt.Sprintf("$1 BETWEEN '%s' AND '%s'", day(-1), day(1)))
	sql = strings.ReplaceAll(sql, "${event:sqlstring}", "'user.created','user.verified'")
	if strings.Contains(sql, "$") {
		t.Errorf("%s: what this test does not replace: %s", title, sql)
	}
	rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Errorf("%s: %v", title, err)
		return
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		values, err := rows.Values()
		if err != nil {
			t.Errorf("%s: %v", title, err)
			return
		}
		for i, f := range rows.FieldDescriptions() {
			_, isTime := values[i].(time.Time)
			_, isNumber := values[i].(int64)
			_, isText := values[i].(string)
			if ok := f.Name == "time" && isTime || f.Name == "metric" && isText || isNumber; format == "time_series" && !ok {
				t.Errorf("%s: %s is %v", title, f.Name, values[i])
			}
		}
	}
	if rows.Err() != nil || n == 0 {
		t.Errorf("%s: %d rows, %v: %s", title, n, rows.Err(), sql)
	}
}
