package s3

import (
	"context"
	"io"
	"os"
)

// A window reads an object with several requests at once, and gives the bytes in
// order: the first range as it comes, those after it from memory. It holds
// Options.Parallel ranges, however long the object is.
//
// Its goroutines end by themselves when their range is read, or with Close.
type window struct {
	store   *Store
	version version
	ctx     context.Context // ends with Close, or with the Get's
	cancel  context.CancelFunc
	first   *reader // read before the others
	next    int64   // the first byte that nobody has asked for
	end     int64
	ahead   []chan span // ranges in flight, in order
	now     span        // the range that is being read
	failed  error       // what every Read returns from now on
}

// A span is a range that was read, or why not.
type span struct {
	buffer []byte // to be used again
	left   []byte // the part of it that was not given yet
	err    error
}

// newWindow returns a window that begins with first and ends before end.
func newWindow(first *reader, end int64) *window {
	w := &window{store: first.store, version: first.version, first: first, next: first.end, end: end}
	w.ctx, w.cancel = context.WithCancel(first.ctx)
	for range w.store.opts.Parallel {
		w.ask(nil)
	}
	return w
}

// ask has the next range read into a buffer, if there is one.
func (w *window) ask(buffer []byte) {
	from, to := w.next, min(w.next+w.store.opts.RangeBytes, w.end)
	if from >= to {
		return
	}
	w.next = to
	reply := make(chan span, 1)
	w.ahead = append(w.ahead, reply)
	r := &reader{ctx: w.ctx, store: w.store, version: w.version, at: from, end: to}
	go func() {
		if buffer == nil {
			buffer = make([]byte, to-from) // only the last is shorter than RangeBytes
		}
		_, err := io.ReadFull(r, buffer[:to-from])
		r.Close()
		reply <- span{buffer, buffer[:to-from], err}
	}()
}

func (w *window) Read(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	n, err := w.first.Read(p)
	if err != io.EOF {
		w.failed = err
		return n, err
	}
	for len(w.now.left) == 0 {
		if w.now.buffer != nil {
			w.ask(w.now.buffer)
			w.now = span{}
		}
		if len(w.ahead) == 0 {
			return 0, io.EOF
		}
		w.now = <-w.ahead[0]
		w.ahead = w.ahead[1:]
		if w.now.err != nil {
			w.failed = w.now.err
			return 0, w.failed
		}
	}
	n = copy(p, w.now.left)
	w.now.left = w.now.left[n:]
	return n, nil
}

// Close ends what is in flight, and waits for it.
func (w *window) Close() error {
	w.cancel()
	for _, reply := range w.ahead {
		<-reply
	}
	w.ahead, w.now = nil, span{}
	if w.failed == nil {
		w.failed = os.ErrClosed
	}
	return w.first.Close()
}
