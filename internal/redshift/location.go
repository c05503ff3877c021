package redshift

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"arbalest"
)

// A location is what a warehouse's URL says.
type location struct {
	host, database string
	port           string
	user, password string
	// Of the connection: sslmode, sslrootcert and connect_timeout, as pgx knows
	// them.
	connection map[string]string
	// Of IAM's logins.
	cluster, workgroup string
	groups             []string
	create             bool
}

const (
	defaultPort = "5439" // Management Guide, "Connecting"
	defaultTLS  = "require"
)

// parseLocation parses a warehouse's URL, and fills fields of opts that are not
// set. It repeats no more of the URL in its errors than it knows to be no secret.
func parseLocation(text string, opts *Options) (location, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "redshift" || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" {
		return location{}, fmt.Errorf("%w: the warehouse's URL is not of the form redshift://user:password@host:5439/database: escape what is special in user and password (a colon is %%3A)", arbalest.ErrInvalid)
	}
	loc := location{host: u.Hostname(), port: u.Port(), database: strings.Trim(u.Path, "/"), connection: map[string]string{"sslmode": defaultTLS}}
	if loc.port == "" {
		loc.port = defaultPort
	}
	if loc.database == "" || strings.Contains(loc.database, "/") {
		return location{}, fmt.Errorf("%w: the URL of the warehouse at %s names no database: add it as /dev", arbalest.ErrInvalid, loc.host)
	}
	if u.User != nil {
		loc.user = u.User.Username()
		loc.password, _ = u.User.Password()
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return location{}, fmt.Errorf("%w: the parameters of the warehouse at %s cannot be read: escape what is special in them", arbalest.ErrInvalid, loc.host)
	}
	opts.Tables = maps.Clone(opts.Tables)
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if err := loc.set(name, query[name], opts); err != nil {
			return location{}, fmt.Errorf("%w: parameters of the warehouse at %s: %w", arbalest.ErrInvalid, loc.host, err)
		}
	}
	switch {
	case loc.cluster != "" && loc.workgroup != "":
		return location{}, fmt.Errorf("%w: the warehouse at %s has both a cluster and a workgroup: it is one of them", arbalest.ErrInvalid, loc.host)
	case loc.user == "" && loc.workgroup == "" && opts.Login == nil:
		return location{}, fmt.Errorf("%w: the URL of the warehouse at %s names no user", arbalest.ErrInvalid, loc.host)
	}
	return loc, nil
}

// set takes a parameter.
func (l *location) set(name string, values []string, opts *Options) (err error) {
	if name == "distkey" || name == "diststyle" || name == "sortkey" || name == "encode" {
		return setTables(name, values, opts)
	}
	if len(values) != 1 || values[0] == "" {
		return fmt.Errorf("%s is to have one value", name)
	}
	value := values[0]
	switch name {
	case "sslmode", "sslrootcert", "connect_timeout":
		l.connection[name] = value
	case "cluster":
		l.cluster = value
	case "workgroup":
		l.workgroup = value
	case "db_groups":
		l.groups = strings.Split(value, ",")
	case "auto_create":
		l.create, err = strconv.ParseBool(value)
	case "iam_role":
		fill(&opts.IAMRole, value)
	case "region":
		fill(&opts.Region, value)
	case "staging":
		fill(&opts.Staging, arbalest.Key(value))
	case "max_conns":
		err = fillNumber(&opts.MaxConns, value)
	case "attempts":
		err = fillNumber(&opts.Attempts, value)
	case "object_bytes":
		err = fillNumber(&opts.ObjectBytes, value)
	case "backoff":
		var pause time.Duration
		pause, err = time.ParseDuration(value)
		fill(&opts.Backoff, pause)
	default:
		return fmt.Errorf("%q is unknown; there are sslmode, sslrootcert, connect_timeout, cluster, workgroup, db_groups, auto_create, iam_role, region, staging, distkey, diststyle, sortkey, encode, max_conns, attempts, backoff and object_bytes", name)
	}
	if err != nil {
		return fmt.Errorf("%s is %q, which cannot be read", name, value)
	}
	return nil
}

// setTables takes a parameter that is table:value, any number of times.
func setTables(name string, values []string, opts *Options) error {
	if opts.Tables == nil {
		opts.Tables = map[string]TableOptions{}
	}
	for _, v := range values {
		table, value, ok := strings.Cut(v, ":")
		if !ok || table == "" || value == "" {
			return fmt.Errorf("%s is %q, and not of the form table:value", name, v)
		}
		t := opts.Tables[table]
		switch name {
		case "distkey":
			t.DistKey = value
		case "diststyle":
			t.DistStyle = value
		case "sortkey":
			t.SortKey = strings.Split(value, ",")
		case "encode":
			column, encoding, ok := strings.Cut(value, ":")
			if !ok {
				return fmt.Errorf("encode is %q, and not of the form table:column:encoding", v)
			}
			t.Encode = maps.Clone(t.Encode)
			if t.Encode == nil {
				t.Encode = map[string]string{}
			}
			t.Encode[column] = encoding
		}
		opts.Tables[table] = t
	}
	return nil
}

// fill sets a field that is not set.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func fillNumber(field *int, value string) error {
	n, err := strconv.Atoi(value)
	if err == nil {
		fill(field, n)
	}
	return err
}

// dsn spells the location for pgx.
func (l location) dsn() string {
	query := url.Values{}
	for name, value := range l.connection {
		query.Set(name, value)
	}
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(l.host, l.port), Path: "/" + l.database, RawQuery: query.Encode()}
	u.User = url.UserPassword(l.user, l.password)
	return u.String()
}
