package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"arbalest"
	"arbalest/internal/shell"
)

// A session runs statements one after another: a person's at a terminal, or
// those of a file.
type session struct {
	place    *place
	op       operator // nil between statements if others could not get in else
	out      io.Writer
	errs     io.Writer
	format   string
	expanded bool
	timing   bool
	file     *os.File // results go here, if it is set
	person   bool
}

// An entrant gives a session what to do.
type entrant interface {
	Next() (shell.Entry, error)
	Clear()
}

// errLeave ends a session.
var errLeave = errors.New("leave")

// interact is the shell: it ends with the user, and not with an error.
func (s *session) interact(ctx context.Context) error {
	s.person = true
	// Ctrl-C is for the statement: the command's own context ends by it.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	// What is wrong with the place is said at once.
	if err := s.with(ctx, func(operator) error { return nil }); err != nil {
		return err
	}
	in, err := shell.NewTerminal(shell.Options{
		History: shell.HistoryFile(),
		Catalog: func() (shell.Catalog, error) { return s.catalog(ctx) },
		Warn:    func(err error) { fmt.Fprintln(s.errs, "arbalest: "+err.Error()) },
	})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { in.Close() })()
	defer in.Close()
	fmt.Fprintln(s.out, `Statements end with ; and only read. \? for help, Tab completes, Ctrl-D leaves.`)
	for {
		e, err := in.Next()
		switch {
		case errors.Is(err, shell.ErrInterrupted):
			continue
		case errors.Is(err, io.EOF):
			return s.close()
		case err != nil:
			return errors.Join(err, s.close())
		}
		select {
		case <-interrupts: // it came too late for the last one
		default:
		}
		statement, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { // ends with the statement
			select {
			case <-interrupts:
				cancel()
			case <-ended:
			}
		}()
		err = s.do(statement, e, in)
		close(ended)
		cancelled := statement.Err() != nil
		cancel()
		switch {
		case errors.Is(err, errLeave):
			return s.close()
		case err != nil && cancelled:
			fmt.Fprintln(s.errs, "cancelled")
		case err != nil:
			fmt.Fprintln(s.errs, "error: "+err.Error())
		}
	}
}

// script runs what a file says, up to the first error.
func (s *session) script(ctx context.Context, in *shell.Input) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	for n := 0; ; n++ {
		e, err := in.Next()
		if errors.Is(err, io.EOF) && n == 0 {
			return usage("there is no statement: give one in quotes or on standard input: run arbalest query --help")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.do(ctx, e, in)
		}
		if errors.Is(err, errLeave) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", e.Line, err)
		}
	}
}

func (s *session) do(ctx context.Context, e shell.Entry, in entrant) error {
	if e.Command {
		return s.command(ctx, e.Text, in)
	}
	return s.ask(ctx, e.Text)
}

// with gives work what a statement is run by. A shell may be open for days:
// DuckDB is let go after each statement, since others could not get in, and serve
// is looked for anew, since it may have come or gone.
func (s *session) with(ctx context.Context, work func(operator) error) error {
	if s.op == nil {
		op, err := s.place.operate(ctx)
		if err != nil {
			return err
		}
		s.op = op
	}
	err := work(s.op)
	if e, own := s.op.(*engine); !own || e.alone {
		op := s.op
		s.op = nil
		err = cmp.Or(err, op.Close())
	}
	return err
}

func (s *session) close() error {
	var err error
	if s.op != nil {
		err = s.op.Close()
	}
	if s.file != nil {
		err = cmp.Or(err, s.file.Close())
	}
	return err
}

// ask runs a statement and shows its result.
func (s *session) ask(ctx context.Context, sql string) error {
	start := time.Now()
	to, show, err := s.printer()
	if err != nil {
		return err
	}
	err = s.with(ctx, func(op operator) error { return op.Query(ctx, sql, to) })
	if err != nil && !errors.Is(err, errEnough) {
		return cmp.Or(err, show(false))
	}
	took := time.Since(start)
	if err := show(true); err != nil {
		return err
	}
	if s.timing {
		fmt.Fprintf(s.errs, "time: %s\n", took.Round(100*time.Microsecond))
	}
	return nil
}

// printer returns what a result is given to, and what shows it in the end, all
// of it or what came before an error.
func (s *session) printer() (to printer, show func(whole bool) error, err error) {
	if s.person && s.file == nil && s.format == "table" {
		return s.tablePrinter()
	}
	final := s.out
	if s.file != nil {
		final = s.file
	}
	out := newWriter(final)
	if s.expanded && s.format == "table" {
		to = &expandedPrinter{out: out}
	} else if to, err = newPrinter(s.format, out, final); err != nil {
		return nil, nil, err
	}
	return to, func(whole bool) error {
		if whole {
			return cmp.Or(to.End(), out.Flush())
		}
		return out.Flush()
	}, nil
}

// tablePrinter is printer for a person: what is longer than the screen goes to
// the pager, where it is also as wide as it is.
func (s *session) tablePrinter() (printer, func(bool) error, error) {
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		width, height = 80, 1<<30
	}
	var b bytes.Buffer
	table := &tablePrinter{out: &b, width: width, enough: true}
	var to printer = table
	if s.expanded {
		to = &expandedPrinter{out: &b, enough: true}
	}
	return to, func(whole bool) error {
		if !whole {
			return nil
		}
		if err := to.End(); err != nil {
			return err
		}
		pager := cmp.Or(os.Getenv("PAGER"), "less")
		if bytes.Count(b.Bytes(), []byte("\n")) < height || exec.Command("sh", "-c", "command -v "+pager).Run() != nil {
			_, err := s.out.Write(b.Bytes())
			return err
		}
		if !s.expanded {
			b.Reset()
			if err := table.endAt(0); err != nil {
				return err
			}
		}
		return page(pager, &b)
	}, nil
}

// page shows text in the user's pager.
func page(pager string, text io.Reader) error {
	cmd := exec.Command("sh", "-c", pager)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = text, os.Stdout, os.Stderr
	cmd.Env = os.Environ()
	if os.Getenv("LESS") == "" {
		cmd.Env = append(cmd.Env, "LESS=FRSX") // long lines are not folded, and the text stays
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) || errors.Is(err, syscall.EPIPE) {
		return nil // the user left it
	}
	if err != nil {
		return fmt.Errorf("page with %s: %w: set PAGER", pager, err)
	}
	return nil
}

// command does what begins with a backslash.
func (s *session) command(ctx context.Context, text string, in entrant) error {
	name, argument, _ := strings.Cut(strings.TrimSuffix(text, ";"), " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case `\?`, `\h`:
		_, err := io.WriteString(s.out, shellHelp)
		return err
	case `\q`:
		return errLeave
	case `\r`:
		in.Clear()
		return nil
	case `\d`:
		if argument != "" {
			return s.describe(ctx, argument)
		}
		return s.ask(ctx, relationsSQL(true))
	case `\dt`:
		return s.ask(ctx, relationsSQL(false))
	case `\x`:
		return s.toggle("expanded", &s.expanded, argument)
	case `\timing`:
		return s.toggle("timing", &s.timing, argument)
	case `\format`:
		if !slices.Contains(formats, argument) {
			return fmt.Errorf("%w: \\format %s: want %s", arbalest.ErrInvalid, argument, strings.Join(formats, ", "))
		}
		s.format = argument
		return nil
	case `\o`:
		return s.redirect(argument)
	}
	return fmt.Errorf("%w: there is no %s: \\? shows what there is", arbalest.ErrInvalid, name)
}

const shellHelp = `  SELECT …;           run a statement; Ctrl-C cancels it, or clears what was typed
  \d                  tables and views, also the books       \d NAME   columns
  \dt                 tables and views without the books
  \x [on|off]         a line for each column                 \timing   how long statements take
  \format FORMAT      table, csv, json or ndjson
  \o FILE             results to a file                      \o        back to the screen
  \r                  forget what was typed                  \q        leave (or Ctrl-D)
`

// toggle switches a setting, or sets it to on or off.
func (s *session) toggle(what string, setting *bool, to string) error {
	switch to {
	case "":
		*setting = !*setting
	case "on", "off":
		*setting = to == "on"
	default:
		return fmt.Errorf("%w: %s is on or off, not %s", arbalest.ErrInvalid, what, to)
	}
	if s.person {
		fmt.Fprintf(s.errs, "%s is %s\n", what, map[bool]string{true: "on", false: "off"}[*setting])
	}
	return nil
}

// redirect sends results to a file, or back if there is none.
func (s *session) redirect(path string) error {
	if s.file != nil {
		err := s.file.Close()
		s.file = nil
		if err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	s.file = f
	return nil
}
