package redshifttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/blob"
)

// s3Error is what COPY answers when S3 refuses.
func s3Error(what, key string) error {
	return &refusal{"XX000", "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey", what + " " + key}
}

// find returns the store and the key in it of s3://bucket/key.
func (s *Server) find(url string) (blob.Store, arbalest.Key, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(url, "s3://"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.mounts {
		if m.bucket != bucket {
			continue
		}
		if m.prefix == "" {
			return m.store, arbalest.Key(key), nil
		}
		if rest, ok := strings.CutPrefix(key, m.prefix+"/"); ok {
			return m.store, arbalest.Key(rest), nil
		}
	}
	return nil, "", &refusal{"XX000", "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket", bucket}
}

// read returns an object. The error wraps arbalest.ErrUnknown if there is none.
func (s *Server) read(url string) ([]byte, error) {
	store, key, err := s.find(url)
	if err != nil {
		return nil, err
	}
	r, err := store.Get(context.Background(), key, 0, blob.Whole)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// A file is an object that COPY loads.
type file struct {
	url  string
	data []byte // uncompressed
}

// manifest is what a manifest file has ("Using a manifest to specify data
// files").
type manifest struct {
	Entries []struct {
		URL       string `json:"url"`
		Mandatory bool   `json:"mandatory"` // defaults to false
	} `json:"entries"`
}

// files returns what a COPY loads: what the manifest names, or all objects whose
// keys begin with that of FROM.
func (s *Server) files(c copyStatement) (files []file, err error) {
	var urls []string
	if c.manifest {
		urls, err = s.listed(c.from)
	} else {
		urls, err = s.prefixed(c.from)
	}
	if err != nil {
		return nil, err
	}
	if len(urls) == 0 {
		return nil, &refusal{"XX000", fmt.Sprintf("The specified S3 prefix '%s' does not exist", c.from), ""}
	}
	for _, url := range urls {
		data, err := s.read(url)
		if err == nil {
			data, err = uncompress(c.codec, data)
		}
		if err != nil {
			return nil, &refusal{"XX000", "failed to read " + url, err.Error()}
		}
		files = append(files, file{url, data})
	}
	return files, nil
}

// listed returns the URLs of a manifest's objects that there are. One listed
// twice is loaded twice.
func (s *Server) listed(from string) (urls []string, err error) {
	body, err := s.read(from)
	if errors.Is(err, arbalest.ErrUnknown) {
		return nil, s3Error("Problem reading manifest file", from)
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(body, &m); err != nil || m.Entries == nil {
		return nil, &refusal{"XX000", "The manifest file is not in the correct format", from}
	}
	for _, e := range m.Entries {
		_, err := s.read(e.URL)
		switch {
		case errors.Is(err, arbalest.ErrUnknown) && e.Mandatory:
			return nil, s3Error("Mandatory", e.URL)
		case errors.Is(err, arbalest.ErrUnknown):
			continue
		case err != nil:
			return nil, err
		}
		urls = append(urls, e.URL)
	}
	return urls, nil
}

func (s *Server) prefixed(from string) (urls []string, err error) {
	store, prefix, err := s.find(from)
	if err != nil {
		return nil, err
	}
	for info, err := range store.List(context.Background(), prefix, "") {
		if err != nil {
			return nil, err
		}
		urls = append(urls, from+strings.TrimPrefix(string(info.Key), string(prefix)))
	}
	return urls, nil
}

// uncompress reads an object as the keyword of the COPY says, whatever its name.
func uncompress(codec string, data []byte) ([]byte, error) {
	switch codec {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return data, nil
}
