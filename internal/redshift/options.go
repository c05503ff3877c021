package redshift

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/blob"
)

// Options are a warehouse's settings. The zero value works, but for Insert and
// Copy, which need a Bucket. What the URL of Open says fills fields that are
// not set.
type Options struct {
	// Bucket is where rows, manifests and JSONPaths files are staged. Defaults
	// to none: then Insert is refused, and so is Copy.
	Bucket Bucket
	// IAMRole is what COPY reads the bucket as: "default", or the role's ARN, or
	// several with commas between them (chained). URL: iam_role. Defaults to
	// Bucket.Credentials, which Redshift then has in the text of its queries: use
	// a role.
	IAMRole string
	// Region is the bucket's. URL: region. Defaults to Bucket.Region.
	Region string
	// Staging is the prefix in Bucket of what is staged, without "/" at its end.
	// URL: staging. Defaults to "_staging".
	Staging arbalest.Key
	// Tables are the keys and encodings of tables, by the table's name, without
	// its schema. URL: distkey, diststyle, sortkey and encode, each with
	// table:value. Defaults to Redshift's own choice, AUTO.
	Tables map[string]TableOptions
	// Login gives temporary users and passwords. URL: cluster or workgroup (with
	// region, db_groups and auto_create), which ask AWS. Defaults to the URL's
	// user and password.
	Login Login
	// MaxConns is how many connections there are at most. URL: max_conns.
	// Defaults to 8.
	MaxConns int
	// Attempts is how often a transaction is done before a conflict or a lost
	// connection fails it. URL: attempts. Defaults to 8.
	Attempts int
	// Backoff is the longest first pause between attempts. Pauses are random, and
	// doubled each time up to 30 s. URL: backoff. Defaults to 500 ms.
	Backoff time.Duration
	// ObjectBytes is how large a staged object may be, compressed: rows are
	// divided among a cluster's slices by the object (Developer Guide, "Loading
	// data files"). URL: object_bytes. Defaults to 16 MiB.
	ObjectBytes int
}

// maxBackoff is the longest pause between two attempts.
const maxBackoff = 30 * time.Second

// roles is what IAM_ROLE takes (Developer Guide, "Authorization parameters").
var roles = regexp.MustCompile(`^(default|arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+(,arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+)*)$`)

func (o Options) withDefaults() (Options, error) {
	if o.Staging == "" {
		o.Staging = "_staging"
	}
	if o.Region == "" && o.Bucket != nil {
		o.Region = o.Bucket.Region()
	}
	if o.MaxConns == 0 {
		o.MaxConns = 8
	}
	if o.Attempts == 0 {
		o.Attempts = 8
	}
	if o.Backoff == 0 {
		o.Backoff = 500 * time.Millisecond
	}
	if o.ObjectBytes == 0 {
		o.ObjectBytes = 16 << 20
	}
	return o, o.validate()
}

func (o Options) validate() error {
	for _, n := range []int64{int64(o.MaxConns), int64(o.Attempts), int64(o.Backoff), int64(o.ObjectBytes)} {
		if n < 0 {
			return fmt.Errorf("%w: an option of the warehouse is negative: %d", arbalest.ErrInvalid, n)
		}
	}
	if o.IAMRole != "" && !roles.MatchString(o.IAMRole) {
		return fmt.Errorf("%w: the IAM role %q is neither default nor of the form arn:aws:iam::123456789012:role/name", arbalest.ErrInvalid, o.IAMRole)
	}
	if err := blob.ValidKey(o.Staging); err != nil {
		return fmt.Errorf("staging prefix: %w", err)
	}
	for _, text := range []string{o.Region, string(o.Staging)} {
		if _, err := literal(text); err != nil || strings.Contains(text, "'") {
			return fmt.Errorf("%w: %q cannot be a region or a staging prefix", arbalest.ErrInvalid, text)
		}
	}
	for name, t := range o.Tables {
		if err := t.validate(); err != nil {
			return fmt.Errorf("options of table %s: %w", name, err)
		}
	}
	return nil
}
