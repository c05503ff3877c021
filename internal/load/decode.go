package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/lake"
)

const (
	// blockBytes is about how many bytes of lines are decoded at a time, into
	// one chunk.
	blockBytes = 1 << 20
	// bufferBytes is how many bytes the buffers of blocks are made for: a block,
	// and what comes with it.
	bufferBytes = 2 * blockBytes
	// wholeBytes is the most bytes of lines that an object may have to be read
	// whole, which is faster, into one block.
	wholeBytes = bufferBytes
)

// decode makes a table's batch of its objects. Where they have columns that the
// table has not, the definition grows and they are decoded again.
func (l *Loader) decode(ctx context.Context, w *tableWork) (TableBatch, error) {
	t, err := l.target(ctx, w.event)
	if err != nil {
		return TableBatch{}, err
	}
	for {
		w.target = t
		chunks, err := l.decodeBy(ctx, t.decoder, w.objects)
		if err != nil {
			return TableBatch{}, fmt.Errorf("decode %s: %w", w.event, err)
		}
		grown, err := l.evolve(ctx, t, chunks)
		if err != nil {
			return TableBatch{}, err
		}
		if grown == nil {
			return l.known(ctx, FindRepeats(TableBatch{Table: t.table, Objects: w.objects, Chunks: chunks}))
		}
		t = grown
	}
}

// A stack is a run of objects that are read by one goroutine: one large
// object, or as many small ones as fit a block.
type stack struct {
	first, end int              // of the batch's objects
	chunks     []**decode.Chunk // filled in by the workers
}

func stacks(objects []ObjectRef) []*stack {
	var out []*stack
	var bytes int64
	for i, o := range objects {
		if n := len(out); n > 0 && bytes+o.Bytes <= blockBytes {
			out[n-1].end = i + 1
			bytes += o.Bytes
			continue
		}
		out = append(out, &stack{first: i, end: i + 1})
		bytes = o.Bytes
	}
	return out
}

// buffers are the memory of blocks, used again from table to table: as many as
// there are readers and workers, and no more.
type buffers struct{ pool sync.Pool }

// get returns an empty buffer of bufferBytes.
func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 0, bufferBytes)
}

// put takes a buffer back. One that had to grow for a long line is let go.
func (b *buffers) put(lines []byte) {
	if cap(lines) == bufferBytes {
		lines = lines[:0]
		b.pool.Put(&lines)
	}
}

// A job is a block to decode, and where its chunk goes.
type job struct {
	block decode.Block
	into  **decode.Chunk
}

// decodeBy reads objects and decodes them on all cores. Readers make blocks,
// workers make chunks of them; a block's memory is used again once its chunk
// is made.
func (l *Loader) decodeBy(ctx context.Context, d *decode.Decoder, objects []ObjectRef) ([]*decode.Chunk, error) {
	todo := stacks(objects)
	jobs := make(chan job)
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan *stack)
	g.Go(func() error {
		defer close(next)
		for _, s := range todo {
			select {
			case next <- s:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	var reading sync.WaitGroup
	for range min(l.opts.Readers, len(todo)) {
		reading.Add(1)
		g.Go(func() error {
			defer reading.Done()
			for s := range next {
				r := reader{loader: l, objects: objects, stack: s, jobs: jobs}
				if err := r.read(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	go func() { reading.Wait(); close(jobs) }()
	for range l.opts.Workers {
		g.Go(func() error {
			for j := range jobs {
				*j.into = d.Decode(j.block)
				l.buffers.put(j.block.Lines)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var chunks []*decode.Chunk
	for _, s := range todo {
		for _, c := range s.chunks {
			chunks = append(chunks, *c)
		}
	}
	return chunks, nil
}

// A reader turns a stack of objects into blocks.
type reader struct {
	loader  *Loader
	objects []ObjectRef
	stack   *stack
	jobs    chan<- job
	block   decode.Block
	left    int64 // lines of the object that are not wanted
}

func (r *reader) read(ctx context.Context) error {
	r.block.Lines = r.loader.buffers.get()
	for i := r.stack.first; i < r.stack.end; i++ {
		if err := r.object(ctx, int32(i)); err != nil {
			return err
		}
	}
	return r.send(ctx)
}

// object adds an object's lines to the block, and sends the block whenever it
// is full. What the commit says of the object must be true of it.
func (r *reader) object(ctx context.Context, index int32) error {
	o := r.objects[index]
	r.left = 0
	if o.Bytes <= wholeBytes {
		return r.whole(ctx, o, index)
	}
	src, stored, err := r.loader.lake.Lines(ctx, o.Object)
	if err != nil {
		return fmt.Errorf("commit %d: %w", o.Commit, err)
	}
	defer src.Close()
	var lines, size int64
	mark := len(r.block.Lines) // where the lines that are not in a span begin
	for done := false; !done; {
		if r.block.Lines, done, err = fill(src, r.block.Lines); err != nil {
			return fmt.Errorf("commit %d: read %s: %w", o.Commit, o.Key, err)
		}
		whole := bytes.LastIndexByte(r.block.Lines[mark:], '\n') + 1
		if done && mark+whole < len(r.block.Lines) {
			return fmt.Errorf("%w: commit %d: the last line of %s does not end", arbalest.ErrCorrupt, o.Commit, o.Key)
		}
		if whole == 0 {
			continue
		}
		n := int64(bytes.Count(r.block.Lines[mark:mark+whole], []byte{'\n'}))
		mark = r.take(index, stored, lines+1, n, mark, mark+whole)
		lines += n
		size += int64(whole)
		if !done {
			rest := append(r.loader.buffers.get(), r.block.Lines[mark:]...)
			r.block.Lines = r.block.Lines[:mark]
			if err := r.send(ctx); err != nil {
				return err
			}
			r.block.Lines, mark = rest, 0
		}
	}
	return r.asStored(index, stored, lines, size)
}

// take notes lines of the block, from one byte of it up to another: n of what is
// stored of an object, from line first on. Those that are not wanted it takes out. It
// returns where those end that are left.
func (r *reader) take(index int32, stored lake.Stored, first, n int64, begin, end int) int {
	keep := r.loader.keep
	at, to := begin, begin
	for from, run := range stored.Runs(first, n) {
		if keep == nil {
			r.block.Spans = append(r.block.Spans, decode.Span{Object: index, FirstLine: from, Lines: int(run)})
			continue
		}
		for number := from; number < from+run; number++ {
			line := r.block.Lines[at : at+bytes.IndexByte(r.block.Lines[at:end], '\n')+1]
			at += len(line)
			if !keep(index, number, line) {
				r.left++
				continue
			}
			to += copy(r.block.Lines[to:], line)
			if k := len(r.block.Spans) - 1; k >= 0 && r.block.Spans[k].Object == index && r.block.Spans[k].FirstLine+int64(r.block.Spans[k].Lines) == number {
				r.block.Spans[k].Lines++
				continue
			}
			r.block.Spans = append(r.block.Spans, decode.Span{Object: index, FirstLine: number, Lines: 1})
		}
	}
	if keep == nil {
		return end
	}
	r.block.Lines = append(r.block.Lines[:to], r.block.Lines[end:]...)
	return to
}

// asStored holds that an object is what its commit says, or its compaction, and
// notes what that left out.
func (r *reader) asStored(index int32, stored lake.Stored, lines, size int64) error {
	o := &r.objects[index]
	if lines != stored.Events || size != stored.Bytes {
		return fmt.Errorf("%w: commit %d: %s should have %d lines and %d bytes, it has %d and %d", arbalest.ErrCorrupt, o.Commit, o.Key, stored.Events, stored.Bytes, lines, size)
	}
	o.Repeats, o.Erased = int64(len(stored.Repeats))+r.left, stored.Gone()
	return nil
}

// whole adds an object's lines to the block, and sends the block if it is full.
func (r *reader) whole(ctx context.Context, o ObjectRef, index int32) (err error) {
	if len(r.block.Lines)+int(o.Bytes) > cap(r.block.Lines) {
		if err := r.send(ctx); err != nil {
			return err
		}
	}
	if r.block.Lines == nil {
		r.block.Lines = r.loader.buffers.get()
	}
	start := len(r.block.Lines)
	var stored lake.Stored
	if r.block.Lines, stored, err = r.loader.lake.AppendLines(ctx, r.block.Lines, o.Object); err != nil {
		return fmt.Errorf("commit %d: %w", o.Commit, err)
	}
	lines := r.block.Lines[start:]
	if len(lines) > 0 && lines[len(lines)-1] != '\n' {
		return fmt.Errorf("%w: commit %d: the last line of %s does not end", arbalest.ErrCorrupt, o.Commit, o.Key)
	}
	n, size := int64(bytes.Count(lines, []byte{'\n'})), int64(len(lines))
	r.take(index, stored, 1, n, start, len(r.block.Lines))
	if err := r.asStored(index, stored, n, size); err != nil || len(r.block.Lines) < blockBytes {
		return err
	}
	return r.send(ctx)
}

// fill reads a block's worth more into b, or up to the source's end.
func fill(src io.Reader, b []byte) (_ []byte, done bool, err error) {
	limit := len(b) + blockBytes
	if cap(b) < limit {
		b = append(make([]byte, 0, limit+blockBytes), b...)
	}
	for len(b) < limit {
		n, err := src.Read(b[len(b):limit])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, true, nil
		}
		if err != nil {
			return b, false, err
		}
	}
	return b, false, nil
}

// send gives the block away, if it has lines, with its buffer; without, the
// buffer goes back.
func (r *reader) send(ctx context.Context) error {
	if len(r.block.Spans) == 0 {
		r.loader.buffers.put(r.block.Lines)
		r.block = decode.Block{}
		return nil
	}
	slot := new(*decode.Chunk)
	r.stack.chunks = append(r.stack.chunks, slot)
	select {
	case r.jobs <- job{r.block, slot}:
		r.block = decode.Block{}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
