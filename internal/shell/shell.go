// Package shell reads SQL from people and from files: statements that end with a
// semicolon, however many lines they have, and commands that begin with a
// backslash; at a terminal with line editing, completion and history. What is
// done with them is the caller's.
//
// It stores the history of statements in a file of its user's state directory
// (HistoryFile), each as one line. A line is appended once its statement is
// complete: that is the commit point.
package shell

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// ErrInterrupted says that the user gave up what was typed (Ctrl-C).
var ErrInterrupted = errors.New("interrupted")

// An Entry is what the user wants done.
type Entry struct {
	Text    string // a statement without its semicolon, or a command with its backslash
	Command bool
	Line    int // on which it begins, from 1
}

// An Input gives entries one after another. It is one goroutine's.
type Input struct {
	// read returns the next line without its newline, after what was read of the
	// statement. The error is io.EOF, ErrInterrupted or the input's own.
	read   func(pending string) (string, error)
	script bool // what is not ended by a semicolon is ended by the end
	buf    string
	line   int // on which buf begins, less 1
}

// NewScript reads entries from a file. The last statement needs no semicolon.
func NewScript(r io.Reader) *Input {
	in := bufio.NewReader(r)
	return &Input{script: true, read: func(string) (string, error) {
		line, err := in.ReadString('\n')
		if err == io.EOF && line != "" {
			err = nil
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), err
	}}
}

// Next returns the next entry; io.EOF after the last. After ErrInterrupted it
// may be called again.
func (in *Input) Next() (Entry, error) {
	for {
		if n := blankLength(in.buf); n > 0 {
			in.drop(n)
		}
		if n := statementLength(in.buf); n > 0 {
			e := Entry{Text: strings.TrimSpace(in.buf[:n-1]), Line: in.line + 1}
			in.drop(n)
			if e.Text != "" {
				return e, nil
			}
			continue
		}
		line, err := in.read(in.buf)
		switch {
		case err == io.EOF && in.script && in.buf != "":
			e := Entry{Text: strings.TrimSpace(in.buf), Line: in.line + 1}
			in.drop(len(in.buf))
			return e, nil
		case err != nil:
			in.drop(len(in.buf))
			return Entry{}, err
		case strings.HasPrefix(strings.TrimSpace(line), `\`) && openIn(in.buf) == 0:
			in.buf += "\n" // it counts as a line
			return Entry{Text: strings.TrimSpace(line), Command: true, Line: in.line + strings.Count(in.buf, "\n")}, nil
		}
		in.buf += line + "\n"
	}
}

// Clear forgets what was typed of a statement.
func (in *Input) Clear() { in.drop(len(in.buf)) }

func (in *Input) drop(n int) {
	in.line += strings.Count(in.buf[:n], "\n")
	in.buf = in.buf[n:]
}
