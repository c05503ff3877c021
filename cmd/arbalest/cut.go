package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// cutFiles reads files and gives their events in blocks of whole lines. Small
// files share a block.
func cutFiles(ctx context.Context, files []source, give func([]byte) error) error {
	block := make([]byte, 0, importBlock+importBlock/4)
	flush := func() error {
		if len(block) == 0 {
			return nil
		}
		full := block
		block = make([]byte, 0, importBlock+importBlock/4)
		return give(full)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := f.lines(func(line []byte) error {
			block = append(block, line...)
			if len(block) >= importBlock {
				return flush()
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return flush()
}

// lines visits a file's lines, each with its newline.
func (s source) lines(visit func([]byte) error) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if s.original {
		object, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return visit(s.wire(nil, object))
	}
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			if line[len(line)-1] != '\n' {
				line = append(line, '\n')
			}
			if err := visit(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// open opens a file and decompresses it as its suffix says.
func (s source) open() (io.ReadCloser, error) {
	if s.path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	var in io.Reader
	switch {
	case strings.HasSuffix(s.path, ".gz"):
		in, err = gzip.NewReader(bufio.NewReaderSize(f, 1<<18))
	case strings.HasSuffix(s.path, ".zst"):
		var dec *zstd.Decoder
		if dec, err = zstd.NewReader(f); err == nil {
			in = dec.IOReadCloser()
		}
	default:
		in = f
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{in, f}, nil
}
