package shell

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/ergochat/readline"
)

// stale is how old a catalog may be that completion uses.
const stale = 5 * time.Second

// Options are a terminal's settings. The zero value works.
type Options struct {
	// History is the file of the history. Defaults to none.
	History string
	// Catalog returns what there is to complete. It is asked when the user wants
	// a completion and the last answer is some seconds old. Defaults to nothing.
	Catalog func() (Catalog, error)
	// Warn is told what does not work and is not needed. Defaults to nobody.
	Warn func(error)
}

// A Terminal is a person's.
type Terminal struct {
	*Input
	line    *readline.Instance
	opts    Options
	history history
	catalog Catalog
	asked   time.Time // when the catalog was
	warned  bool      // of the history
}

// The prompts. The second shows what is still open: a statement, a string, a
// name or a comment.
const (
	prompt = "arbalest> "
	more   = "        "
)

// NewTerminal reads entries from the terminal that standard input is.
func NewTerminal(opts Options) (*Terminal, error) {
	if opts.Warn == nil {
		opts.Warn = func(error) {}
	}
	t := &Terminal{opts: opts, history: history{opts.History}}
	line, err := readline.NewFromConfig(&readline.Config{
		Prompt: prompt, HistoryLimit: historyEntries, DisableAutoSaveHistory: true, HistorySearchFold: true, AutoComplete: completer{t}, Undo: true,
		InterruptPrompt: "^C", EOFPrompt: "\n",
	})
	if err != nil {
		return nil, err
	}
	t.line = line
	t.Input = &Input{read: t.read}
	entries, err := t.history.load()
	if err != nil {
		t.warn(err)
	}
	for _, e := range entries {
		_ = line.SaveToHistory(e) // there is no file of its own
	}
	return t, nil
}

// Close gives the terminal back. It may be called from elsewhere: Next returns
// io.EOF then.
func (t *Terminal) Close() error { return t.line.Close() }

// Next is Input's, and what it returns is history.
func (t *Terminal) Next() (Entry, error) {
	e, err := t.Input.Next()
	if err == nil {
		t.remember(e)
	}
	return e, err
}

func (t *Terminal) remember(e Entry) {
	entries := []string{e.Text}
	if !e.Command {
		if line, ok := oneLine(e.Text); ok {
			entries[0] = line + ";"
		} else {
			entries = strings.Split(e.Text+";", "\n")
		}
	}
	for _, text := range entries {
		if text = strings.TrimRight(text, "\r"); text == "" {
			continue
		}
		_ = t.line.SaveToHistory(text)
		if err := t.history.add(text); err != nil {
			t.warn(err)
		}
	}
}

// warn tells once what is wrong with the history.
func (t *Terminal) warn(err error) {
	if !t.warned {
		t.warned = true
		t.opts.Warn(err)
	}
}

func (t *Terminal) read(pending string) (string, error) {
	switch open := openIn(pending); {
	case pending == "":
		t.line.SetPrompt(prompt)
	case open == 0:
		t.line.SetPrompt(more + "> ")
	default:
		t.line.SetPrompt(more[1:] + string(open) + "> ")
	}
	line, err := t.line.ReadLine()
	switch {
	case errors.Is(err, readline.ErrInterrupt):
		return "", ErrInterrupted
	case err != nil:
		return "", io.EOF
	}
	return line, nil
}

// A completer is the terminal as readline has it.
type completer struct{ *Terminal }

// Do returns what may follow the cursor, and how many runes of it are there.
func (c completer) Do(line []rune, at int) (rest [][]rune, shared int) {
	if c.opts.Catalog != nil && time.Since(c.asked) > stale {
		if catalog, err := c.opts.Catalog(); err == nil { // else the old one is better than nothing
			c.catalog, c.asked = catalog, time.Now()
		}
	}
	typed, candidates := c.catalog.complete(c.buf+string(line[:at]), string(line[at:]))
	for _, candidate := range candidates {
		rest = append(rest, []rune(candidate[len(typed):]))
	}
	return rest, len([]rune(typed))
}
