package web

import "net/http"

// sqlRoutes adds the pages of SQL.
func (s *Site) sqlRoutes(mux *http.ServeMux) {
	mux.Handle("GET /sql", s.page(func(w http.ResponseWriter, r *http.Request) error {
		return s.render(w, r, "sql.html", nil)
	}))
}
