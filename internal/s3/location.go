package s3

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"arbalest"
	"arbalest/internal/blob"
)

// A location is what a store's URL says.
type location struct {
	bucket, prefix, endpoint, region string
	pathStyle                        *bool // nil if it does not say
}

// parameters are those that a URL may have.
const parameters = "endpoint (http://host:port), region and path_style (true or false)"

// parseLocation parses a store's URL. It repeats no more of it in its errors
// than it knows to be no secret.
func parseLocation(text string) (location, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.Port() != "" || u.Opaque != "" {
		return location{}, fmt.Errorf("%w: the store's URL is not of the form s3://bucket/prefix", arbalest.ErrInvalid)
	}
	if u.User != nil {
		return location{}, fmt.Errorf("%w: the store's URL has credentials: take them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", arbalest.ErrInvalid)
	}
	if u.Fragment != "" {
		return location{}, fmt.Errorf("%w: s3://%s has a #: write it as %%23", arbalest.ErrInvalid, u.Host)
	}
	loc := location{bucket: u.Host, prefix: strings.Trim(u.Path, "/")}
	if loc.prefix != "" {
		if err := blob.ValidKey(arbalest.Key(loc.prefix)); err != nil {
			return location{}, fmt.Errorf("prefix of s3://%s: %w", loc.bucket, err)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return location{}, fmt.Errorf("%w: the parameters of s3://%s cannot be read: escape what is special in them", arbalest.ErrInvalid, loc.bucket)
	}
	for name, values := range query {
		if err := loc.set(name, values); err != nil {
			return location{}, fmt.Errorf("%w: parameters of s3://%s: %w", arbalest.ErrInvalid, loc.bucket, err)
		}
	}
	return loc, nil
}

func (l *location) set(name string, values []string) error {
	if len(values) != 1 || values[0] == "" {
		return fmt.Errorf("%s is to have one value", name)
	}
	value := values[0]
	switch name {
	case "endpoint":
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("endpoint is not of the form http://host:port or https://host")
		}
		l.endpoint = value
	case "region":
		l.region = value
	case "path_style":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("path_style is %q, not true or false", value)
		}
		l.pathStyle = &on
	default:
		return fmt.Errorf("%q is unknown; there are %s", name, parameters)
	}
	return nil
}
