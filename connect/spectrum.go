package connect

import (
	"fmt"
	"net/url"
	"strings"

	"arbalest"
	"arbalest/internal/redshift"
)

// An ExternalTable is a table of which days are in Parquet in the store. Its Location
// is the prefix that their keys begin with.
type ExternalTable = redshift.External

// Spectrum returns the statements by which Redshift reads Parquet of the store at a
// URL, which must be a bucket. They are to be run one by one. The error wraps
// arbalest.ErrInvalid.
func Spectrum(store string, tables []ExternalTable) ([]string, error) {
	u, err := url.Parse(store)
	if err != nil || schemeOf(store) != "s3" {
		return nil, fmt.Errorf("%w: Redshift reads what is on S3, and the store is %s", arbalest.ErrInvalid, Redact(store))
	}
	base := "s3://" + strings.TrimSuffix(u.Host+u.Path, "/") + "/"
	all := make([]ExternalTable, len(tables))
	for i, t := range tables {
		t.Location = base + t.Location
		all[i] = t
	}
	return redshift.Spectrum(all), nil
}
