package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress is how far long work has come. Total is 0 while it is not known.
type progress struct {
	Stage string `json:"stage"` // "sort", "load", "verify", "import", "compact", "rebuild", "decode", "archive", "thaw"
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Unit  string `json:"unit"`
}

// A reporter shows progress: a bar on a terminal, else a line now and then, or
// JSON lines.
type reporter struct {
	out   io.Writer
	json  bool
	bars  bool
	bar   *progressbar.ProgressBar
	stage string
	last  time.Time
}

func newReporter(out io.Writer, asJSON bool) *reporter {
	f, ok := out.(*os.File)
	return &reporter{out: out, json: asJSON, bars: ok && !asJSON && term.IsTerminal(int(f.Fd())), last: time.Now()}
}

// show is told of every step.
func (r *reporter) show(p progress) {
	if r.bars {
		r.draw(p)
		return
	}
	if p.Stage != r.stage {
		r.stage, r.last = p.Stage, time.Now()
	}
	if time.Since(r.last) < 2*time.Second {
		return
	}
	r.last = time.Now()
	switch {
	case r.json:
		b, _ := json.Marshal(map[string]progress{"progress": p})
		fmt.Fprintf(r.out, "%s\n", b)
	case p.Total > 0:
		fmt.Fprintf(r.out, "%s: %d of %d %s\n", p.Stage, p.Done, p.Total, p.Unit)
	default:
		fmt.Fprintf(r.out, "%s: %d %s\n", p.Stage, p.Done, p.Unit)
	}
}

func (r *reporter) draw(p progress) {
	total := p.Total
	if total == 0 {
		total = -1
	}
	if r.bar == nil || p.Stage != r.stage {
		r.done()
		r.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(r.out), progressbar.OptionSetDescription(fmt.Sprintf("%-7s", p.Stage)),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(p.Unit), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
		r.stage = p.Stage
	}
	if total > 0 && total != r.bar.GetMax64() {
		r.bar.ChangeMax64(total)
	}
	_ = r.bar.Set64(p.Done)
}

// done removes the bar.
func (r *reporter) done() {
	if r.bar != nil {
		_ = r.bar.Finish()
		r.bar = nil
	}
}
