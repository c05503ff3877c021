package blob

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"arbalest"
)

// Each operation is a write of a small object in a directory of its own, as
// the sorter's are.
func BenchmarkPutNewFolders(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d := benchDir(b)
			var n atomic.Int64
			body := bytes.Repeat([]byte("x"), 600)
			inParallel(b, writers, func() error {
				i := n.Add(1)
				key := fmt.Sprintf("event.%d/2026-11-%02d/%02d/x.ndjson.zst", i/720, i/24%30, i%24)
				return d.Put(b.Context(), arbalest.Key(key), bytes.NewReader(body))
			})
		})
	}
}

// Each operation is a segment in one folder, as the capturers' are.
func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		for _, kib := range []int{4, 64} {
			b.Run(fmt.Sprintf("writers=%d/KiB=%d", writers, kib), func(b *testing.B) {
				d := benchDir(b)
				var n atomic.Int64
				body := bytes.Repeat([]byte("x"), kib<<10)
				inParallel(b, writers, func() error {
					key := fmt.Sprintf("_landing/writer/%06d.ndjson", n.Add(1))
					return d.Create(b.Context(), arbalest.Key(key), bytes.NewReader(body))
				})
			})
		}
	}
}

// BenchmarkFloor is the least that a durable Create can be: the bare calls, of
// files of 4 KiB in one folder. Judge the others by it, at the same hour.
func BenchmarkFloor(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			dir, err := os.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer dir.Close()
			var n atomic.Int64
			body := make([]byte, 4<<10)
			inParallel(b, writers, func() error {
				to := fmt.Sprintf("%s/%d", dir.Name(), n.Add(1))
				file, err := os.Create(to + "~")
				if err != nil {
					return err
				}
				defer file.Close()
				_, err = file.Write(body)
				return errors.Join(err, file.Sync(), os.Rename(to+"~", to), dir.Sync())
			})
		})
	}
}

func benchDir(b *testing.B) *Dir {
	d, err := OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	var fsyncs atomic.Int64
	d.disk.around = func(op, _ string, call func() error) error {
		if op == "fsync" {
			fsyncs.Add(1)
		}
		return call()
	}
	b.Cleanup(func() {
		b.ReportMetric(float64(fsyncs.Load())/float64(b.N), "fsyncs/write")
		d.Close()
	})
	return d
}

func inParallel(b *testing.B, goroutines int, op func() error) {
	b.SetParallelism((goroutines + 1) / 2) // times GOMAXPROCS, 2 here
	if goroutines == 1 {
		for b.Loop() {
			if err := op(); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := op(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}
