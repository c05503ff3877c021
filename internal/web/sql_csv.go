package web

import (
	"bufio"
	"mime"
	"net/http"
	"strings"

	"arbalest/internal/saved"
	"arbalest/internal/warehouse"
)

// download answers with a whole result as CSV. What has begun and breaks off
// ends the connection, so that nobody takes the half for the whole.
func (c *console) download(w http.ResponseWriter, r *http.Request, sql string) error {
	name := "result"
	if n := r.PostForm.Get("name"); saved.CheckName(n) == nil {
		name = n
	}
	s := &csvResult{out: bufio.NewWriterSize(w, 64<<10), begin: func() {
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".csv"}))
		h.Set("Cache-Control", "no-store")
	}}
	err := c.ask(r.Context(), sql, s)
	if err != nil && !s.begun {
		return err
	}
	if err == nil {
		err = s.out.Flush()
	}
	if err != nil {
		if r.Context().Err() == nil {
			c.log.Warn("a download broke off", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// A csvResult writes a result as RFC 4180 has it: with a header, lines end with
// CRLF, and bytes of values are as they are. NULL is an empty field, an empty
// text is "".
type csvResult struct {
	out   *bufio.Writer
	begin func()
	begun bool
	line  []byte
}

// Columns implements warehouse.Sink.
func (s *csvResult) Columns(columns []warehouse.ResultColumn) error {
	s.begun = true
	s.begin()
	names := make([]warehouse.Value, len(columns))
	for i, c := range columns {
		names[i].Text = c.Name
	}
	return s.Row(names)
}

// Row implements warehouse.Sink.
func (s *csvResult) Row(values []warehouse.Value) error {
	b := s.line[:0]
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case v.Null:
		case v.Text == "" || strings.ContainsAny(v.Text, "\",\r\n") || v.Text[0] == ' ' || v.Text[len(v.Text)-1] == ' ':
			b = append(b, '"')
			b = append(b, strings.ReplaceAll(v.Text, `"`, `""`)...)
			b = append(b, '"')
		default:
			b = append(b, v.Text...)
		}
	}
	s.line = append(b, "\r\n"...)
	_, err := s.out.Write(s.line)
	return err
}
