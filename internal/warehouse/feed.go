package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"arbalest/internal/decode"
)

const (
	// readers is how many objects are read at once. A store of small objects
	// answers in milliseconds each, most of which are waiting.
	readers = 24
	// blockBytes is about how many bytes of documents are decoded at a time.
	blockBytes = 512 << 10
	// feedBytes is about how many bytes of documents are handed over at once.
	feedBytes = 32 << 20
)

// Feed reads the objects of a copy, decodes them to its columns, and hands the
// rows over, some 32 MiB at a time; take may use the pages until it returns.
// It is what Tx.Copy is made of where the database cannot read objects itself.
// Memory is bounded whatever the objects are. The errors are those of Tx.Copy,
// and take's.
func Feed(ctx context.Context, c Copy, take func([]Page) error) (Copied, error) {
	f := &feed{copy: c, decoder: decode.NewDocuments(c.Columns), take: take}
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan int32)
	g.Go(func() error {
		defer close(next)
		for i := range c.Objects {
			select {
			case next <- int32(i):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range min(readers, len(c.Objects)) {
		g.Go(func() error {
			r := &reader{feed: f}
			for i := range next {
				if err := r.object(ctx, i); err != nil {
					return err
				}
			}
			return r.decode()
		})
	}
	err := g.Wait()
	if err == nil {
		err = f.flush()
	}
	return f.done, err
}

// A feed is one Feed. Its fields below mu are of all readers.
type feed struct {
	copy    Copy
	decoder *decode.Decoder
	take    func([]Page) error

	mu     sync.Mutex
	chunks []*decode.Chunk
	bytes  int
	done   Copied
}

// wrong notes a row that is wrong, and says whether that is one too many.
func (f *feed) wrong(r CopyReport) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.note(r)
}

func (f *feed) note(r CopyReport) error {
	f.done.Errors++
	if len(f.done.Reports) < MaxReports {
		f.done.Reports = append(f.done.Reports, r)
	}
	if f.done.Errors >= int64(max(f.copy.MaxErrors, 1)) {
		return &CopyError{f.done, f.copy.MaxErrors}
	}
	return nil
}

// add adds a chunk, and hands over what has come together.
func (f *feed) add(c *decode.Chunk, bytes int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range c.Errors {
		if err := f.note(CopyReport{f.copy.Objects[e.Object].Key, e.Line, e.Column, e.Value, e.Reason}); err != nil {
			return err
		}
	}
	f.done.Rows += int64(c.Rows)
	if f.copy.NoLoad || c.Rows == 0 {
		c.Release()
		return nil
	}
	f.chunks = append(f.chunks, c)
	f.bytes += bytes
	if f.bytes < feedBytes {
		return nil
	}
	return f.flush()
}

// flush hands over what there is. The readers that decode meanwhile wait for it
// in add.
func (f *feed) flush() error {
	if len(f.chunks) == 0 {
		return nil
	}
	pages := make([]Page, len(f.chunks))
	for i, c := range f.chunks {
		pages[i] = Page{Rows: c.Rows, Columns: c.Columns}
	}
	err := f.take(pages)
	for _, c := range f.chunks {
		c.Release()
	}
	f.chunks, f.bytes = f.chunks[:0], 0
	return err
}

// A reader reads one object after another, and decodes their documents in
// blocks.
type reader struct {
	feed  *feed
	split splitter
	block decode.Block
}

func (r *reader) object(ctx context.Context, i int32) (err error) {
	key := r.feed.copy.Objects[i].Key
	defer func() {
		var too *CopyError
		if err != nil && !errors.As(err, &too) {
			err = fmt.Errorf("read %s: %w", key, err)
		}
	}()
	body, err := r.feed.copy.Store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	src, err := uncompressed(key, body)
	if err != nil {
		return err
	}
	defer src.Close()
	r.split.reset(src)
	for {
		doc, line, bad, err := r.split.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case bad != nil:
			if err := r.feed.wrong(CopyReport{Object: key, Line: line, Value: shown(bad.text), Reason: bad.reason}); err != nil {
				return err
			}
			continue
		}
		if err := r.document(doc, i, line); err != nil {
			return err
		}
	}
}

// document adds a document to the block.
func (r *reader) document(doc []byte, object int32, line int64) error {
	b := &r.block
	b.Lines = append(append(b.Lines, doc...), '\n')
	if n := len(b.Spans); n > 0 && b.Spans[n-1].Object == object && b.Spans[n-1].FirstLine+int64(b.Spans[n-1].Lines) == line {
		b.Spans[n-1].Lines++
	} else {
		b.Spans = append(b.Spans, decode.Span{Object: object, FirstLine: line, Lines: 1})
	}
	if len(b.Lines) < blockBytes {
		return nil
	}
	return r.decode()
}

func (r *reader) decode() error {
	if len(r.block.Lines) == 0 {
		return nil
	}
	err := r.feed.add(r.feed.decoder.Decode(r.block), len(r.block.Lines))
	r.block.Lines, r.block.Spans = r.block.Lines[:0], r.block.Spans[:0]
	return err
}

// shown returns text as it is reported.
func shown(text []byte) string {
	const most = 1024
	if len(text) > most {
		text = text[:most]
	}
	return string(text)
}
