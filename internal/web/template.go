package web

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed pages/*.html
var pageFiles embed.FS

// readPages parses every page with the layout.
func (s *Site) readPages() (map[string]*template.Template, error) {
	layout, err := template.New("layout.html").Funcs(s.functions()).ParseFS(pageFiles, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	files, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		name := path.Base(file)
		if name == "layout.html" || name == "parts.html" {
			continue
		}
		t, err := layout.Clone()
		if err == nil {
			t, err = t.ParseFS(pageFiles, file)
		}
		if err != nil {
			return nil, fmt.Errorf("read pages: %w", err)
		}
		pages[name] = t
	}
	return pages, nil
}

// functions are what templates call.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":   s.assets.url,
		"capture": func() string { return s.opts.Capture },
		"count":   Count,
		"bytes":   Bytes,
		"share":   share,
		"stamp":   stamp,
		"ago":     func(t time.Time) string { return Ago(time.Since(t)) },
		"took":    took,
		"list":    func(items ...any) []any { return items },
		"cut":     cut,
		"tail":    tail,
		"max":     func(a, b int) int { return max(a, b) },
		"rate":    rate,
		"maybe":   maybe,
		"total":   total,
		"width":   width,
		"height":  func(part, all int64) int64 { return 100 - width(part, all) },
		"add":     func(a, b int) int { return a + b },
		"len64":   func(b []byte) int64 { return int64(len(b)) },
		"last":    func(h []HourOfRows) HourOfRows { return h[len(h)-1] },
		"dollars": dollars,
		"between": func(from time.Time, to *time.Time) string { return took(to.Sub(from).Seconds()) },
	}
}

// Count spells a number with spaces between thousands, which do not break.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

// Bytes spells a number of bytes, in units of 1024.
func Bytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + "\u00a0B"
	}
	f, unit := float64(n), 0
	for f >= 1023.5 && unit < 5 {
		f, unit = f/1024, unit+1
	}
	digits := 1
	if f >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + "\u00a0" + [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}[unit]
}

// share spells a share of something: 98.2 %, and 100 % only if it is all.
func share(part, all int64) string {
	switch {
	case all == 0 || part == 0:
		return "0\u00a0%"
	case part == all:
		return "100\u00a0%"
	}
	return strconv.FormatFloat(min(max(100*float64(part)/float64(all), 0.1), 99.9), 'f', 1, 64) + "\u00a0%"
}

// stamp spells a time in UTC; the zero time is nothing.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// Ago spells how long something is past.
func Ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return strings.TrimSpace(fmt.Sprintf("%s days ago", Count(int64(d.Hours()/24))))
}

// took spells a duration of seconds.
func took(seconds float64) string {
	switch {
	case seconds == 0:
		return "0"
	case seconds < 0.00995:
		return strconv.FormatFloat(seconds*1000, 'f', 1, 64) + "\u00a0ms"
	case seconds < 0.9995:
		return strconv.FormatFloat(seconds*1000, 'f', 0, 64) + "\u00a0ms"
	case seconds < 99.95:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + "\u00a0s"
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// tail returns the last characters of an id, which are those that differ.
func tail(n int, s string) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n:])
	}
	return s
}

// cut cuts a text short, after so many characters.
func cut(n int, s string) string {
	if r := []rune(s); len(r) > n {
		s = string(r[:n]) + "…"
	}
	return visible(s)
}

// rate spells events a second.
func rate(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 0.1:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return Count(int64(f + 0.5))
}

// maybe spells seconds that there may be none of.
func maybe(seconds *float64) string {
	if seconds == nil {
		return "–"
	}
	return took(*seconds)
}

// total adds up what there was in each second.
func total(list []float64) string {
	sum := 0.0
	for _, f := range list {
		sum += f
	}
	return Count(int64(sum + 0.5))
}

// width is a share in hundredths.
func width(part, all int64) int64 {
	if all <= 0 {
		return 0
	}
	return min(100, max(0, (100*part+all/2)/all))
}

// dollars spells an amount of money.
func dollars(f float64) string {
	if f > 0 && f < 0.01 {
		return "< $0.01"
	}
	return "$" + strconv.FormatFloat(f, 'f', 2, 64)
}
