package web

import (
	"net/http"

	"arbalest/internal/warehouse"
)

// schema lists the tables, for completion.
func (c *console) schema(w http.ResponseWriter, r *http.Request) error {
	relations, err := warehouse.ReadRelations(r.Context(), c.ask)
	if err != nil {
		return err
	}
	return writeJSON(w, relations)
}
