package blob

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"arbalest"
)

// Memory is a store in memory: for tests, and the model of what a store does.
// It is durable for as long as it is referred to.
type Memory struct {
	mu sync.RWMutex
	// pages hold the objects in order of key, at most maxPage in each and at
	// least one in all but the first: so that a write moves a page at most,
	// and List can copy one at a time.
	pages [][]object
}

type object struct {
	key  arbalest.Key
	body []byte // never written to again
}

const maxPage = 512

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{pages: make([][]object, 1)} }

var _ Store = (*Memory)(nil)

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	if err := ready(ctx, key); err != nil {
		return nil, fmt.Errorf("get object: %w", err)
	}
	m.mu.RLock()
	p, i, found := m.find(key)
	var body []byte
	if found {
		body = m.pages[p][i].body
	}
	m.mu.RUnlock()
	if !found {
		return nil, fmt.Errorf("get %s: %w", key, arbalest.ErrUnknown)
	}
	from, to, err := slice(int64(len(body)), offset, length)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return io.NopCloser(bytes.NewReader(body[from:to])), nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return m.write(ctx, "put", key, body, true)
}

// Create implements Store.
func (m *Memory) Create(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return m.write(ctx, "create", key, body, false)
}

func (m *Memory) write(ctx context.Context, verb string, key arbalest.Key, body io.ReadSeeker, replace bool) error {
	if err := ready(ctx, key); err != nil {
		return fmt.Errorf("%s object: %w", verb, err)
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%s %s: rewind body: %w", verb, key, err)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("%s %s: read body: %w", verb, key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, i, found := m.find(key)
	switch {
	case !found:
		m.insert(p, i, object{key, bytes.Clone(content)})
	case replace:
		m.pages[p][i].body = bytes.Clone(content)
	default:
		return fmt.Errorf("%s %s: %w", verb, key, arbalest.ErrExists)
	}
	return nil
}

// List implements Store. It holds one page of keys.
func (m *Memory) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		// The least key that may be yielded: the first after "after" is it and a NUL.
		for next := max(prefix, after+"\x00"); ; {
			if err := ctx.Err(); err != nil {
				yield(Info{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			page := m.page(next)
			for _, info := range page {
				if ctx.Err() != nil {
					break
				}
				if !strings.HasPrefix(string(info.Key), string(prefix)) || !yield(info, nil) {
					return
				}
				next = info.Key + "\x00"
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

// page returns some objects from the key on, none only if there are none.
func (m *Memory) page(from arbalest.Key) []Info {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, i, _ := m.find(from)
	if i == len(m.pages[p]) && p+1 < len(m.pages) {
		p, i = p+1, 0
	}
	page := make([]Info, 0, len(m.pages[p])-i)
	for _, o := range m.pages[p][i:] {
		page = append(page, Info{o.key, int64(len(o.body))})
	}
	return page
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key arbalest.Key) error {
	if err := ready(ctx, key); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, i, found := m.find(key)
	if !found {
		return nil
	}
	m.pages[p] = slices.Delete(m.pages[p], i, i+1)
	if len(m.pages[p]) == 0 && len(m.pages) > 1 {
		m.pages = slices.Delete(m.pages, p, p+1)
	}
	return nil
}

// find returns where the object is, or would be: the page and the place in it.
func (m *Memory) find(key arbalest.Key) (p, i int, found bool) {
	p, found = slices.BinarySearchFunc(m.pages, key, func(page []object, key arbalest.Key) int {
		if len(page) == 0 {
			return -1
		}
		return cmp.Compare(page[0].key, key)
	})
	if !found {
		p = max(p-1, 0)
	}
	i, found = slices.BinarySearchFunc(m.pages[p], key, func(o object, key arbalest.Key) int {
		return cmp.Compare(o.key, key)
	})
	return p, i, found
}

// insert puts an object where find said, and splits a page that is full. The
// split leaves more in front than behind, as most keys are written in order.
func (m *Memory) insert(p, i int, o object) {
	m.pages[p] = slices.Insert(m.pages[p], i, o)
	if page := m.pages[p]; len(page) > maxPage {
		const keep = maxPage * 7 / 8
		m.pages = slices.Insert(m.pages, p+1, slices.Clone(page[keep:]))
		clear(page[keep:])
		m.pages[p] = page[:keep]
	}
}
