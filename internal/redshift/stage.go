package redshift

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"arbalest"
)

const (
	// stageAge is after what time a stage is left over: no COPY takes so long.
	stageAge = 24 * time.Hour
	// removeTimeout is how long deleting a stage may take.
	removeTimeout = 30 * time.Second
)

// A stage is a folder of the bucket with what one COPY needs.
type stage struct {
	bucket Bucket
	dir    arbalest.Key
	keys   []arbalest.Key
	// entries are the manifest's.
	entries []byte
}

func (d *Database) newStage() (*stage, error) {
	if d.opts.Bucket == nil {
		return nil, fmt.Errorf("%w: Redshift reads from S3 only: give the warehouse a store on S3", arbalest.ErrInvalid)
	}
	id, err := ulid.New(ulid.Now(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("name a stage: %w", err)
	}
	return &stage{bucket: d.opts.Bucket, dir: d.opts.Staging + "/" + arbalest.Key(id.String())}, nil
}

// put writes an object of the stage, and returns its URL.
func (s *stage) put(ctx context.Context, name string, body []byte) (url string, err error) {
	key := s.dir + "/" + arbalest.Key(name)
	s.keys = append(s.keys, key) // also if it fails: it may be there
	if err := s.bucket.Put(ctx, key, bytes.NewReader(body)); err != nil {
		return "", fmt.Errorf("stage %s: %w", key, err)
	}
	return s.bucket.URL(key), nil
}

// list adds an object to the manifest. It is mandatory: one that is not is left
// out without a word if it is missing (Developer Guide, "Using a manifest to
// specify data files").
func (s *stage) list(url string, size int64) {
	if len(s.entries) > 0 {
		s.entries = append(s.entries, ",\n"...)
	}
	s.entries = append(s.entries, `{"url":`...)
	s.entries = arbalest.AppendString(s.entries, url)
	s.entries = append(s.entries, `,"mandatory":true,"meta":{"content_length":`...)
	s.entries = strconv.AppendInt(s.entries, size, 10)
	s.entries = append(s.entries, "}}"...)
}

// manifest writes the manifest of what was listed, and returns its URL.
func (s *stage) manifest(ctx context.Context, name string) (url string, err error) {
	body := append([]byte("{\"entries\":[\n"), s.entries...)
	s.entries = nil
	return s.put(ctx, name, append(body, "\n]}\n"...))
}

// paths writes the JSONPaths file, and returns its URL.
func (s *stage) paths(ctx context.Context, paths []string) (url string, err error) {
	body := []byte("{\"jsonpaths\":[\n")
	for i, p := range paths {
		if i > 0 {
			body = append(body, ",\n"...)
		}
		body = arbalest.AppendString(body, p)
	}
	return s.put(ctx, "jsonpaths.json", append(body, "\n]}\n"...))
}

// remove deletes the stage, as far as it can be done: what is left Open deletes.
func (s *stage) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	for _, key := range s.keys {
		_ = s.bucket.Delete(ctx, key)
	}
}

// sweep deletes stages that are left over, as far as it can be done.
func (d *Database) sweep(ctx context.Context, now time.Time) {
	prefix := d.opts.Staging + "/"
	var old []arbalest.Key
	for info, err := range d.opts.Bucket.List(ctx, prefix, "") {
		if err != nil {
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(string(info.Key), string(prefix)), "/")
		id, err := ulid.ParseStrict(name)
		if err != nil {
			continue // not ours
		}
		if now.Sub(ulid.Time(id.Time())) <= stageAge {
			break // and so is all that follows: names are in order of time
		}
		old = append(old, info.Key)
	}
	for _, key := range old {
		_ = d.opts.Bucket.Delete(ctx, key)
	}
}
