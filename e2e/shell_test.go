package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A terminal is a person at a program.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	pty  *os.File
	mu   sync.Mutex
	said string // that is not read yet
}

// atTerminal starts the program on a terminal of 120 by 50.
func atTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, pty: f}
	t.Cleanup(func() { f.Close(); cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // it has ended, or is of no more use
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := f.Read(b)
			if err != nil {
				return
			}
			if strings.Contains(string(b[:n]), "\x1b[6n") { // it asks where the cursor is
				_, _ = f.WriteString("\x1b[1;1R")
			}
			x.mu.Lock()
			x.said += string(b[:n])
			x.mu.Unlock()
		}
	}()
	return x
}

// send types.
func (x *terminal) send(text string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// wait waits for what the program shows, and returns what came before it.
func (x *terminal) wait(text string) string {
	x.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		before, rest, ok := strings.Cut(x.said, text)
		if ok {
			x.said = rest
		}
		said := x.said
		x.mu.Unlock()
		if ok {
			return before
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("no %q on the terminal, but %q", text, said)
		}
	}
}

// leave waits for the program's end.
func (x *terminal) leave(exit int) {
	x.t.Helper()
	ended := make(chan struct{})
	go func() { x.cmd.Wait(); close(ended) }() //nolint:errcheck // the code is looked at
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		x.t.Fatal("the program does not end")
	}
	if got := x.cmd.ProcessState.ExitCode(); got != exit {
		x.t.Errorf("exit %d, want %d", got, exit)
	}
}

// The shell completes, cancels, remembers, and lets others in.
func TestShell(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	env := []string{"XDG_STATE_HOME=" + state, "TERM=xterm", "PAGER=cat"}
	must(t, "import", "--data", dir, write(t, filepath.Join(dir, "in.ndjson"), `{"event":"user.created","id":"1","data":{"email_address":"jane@doe.com"}}`+"\n"))

	x := atTerminal(t, env, "query", "--data", dir)
	x.wait("arbalest> ")
	x.send("sel\tema\t from user_c\t\r")
	x.wait("> ") // it goes on: there is no semicolon
	x.send(";\r")
	x.wait("jane@doe.com")
	x.wait("1 row")

	x.send("selec 1;\r")
	x.wait("LINE 1: selec 1")
	x.wait("^")
	x.wait("arbalest> ")

	x.send("select sum(a.range * b.range) from range(1000000) a, range(1000000) b;\r")
	x.wait("b;")
	time.Sleep(300 * time.Millisecond) // for it to run; if it does not yet, it is cancelled all the same
	x.send("\x03")
	x.wait("cancelled")
	x.send("half of a statement\x03")
	x.wait("^C")
	x.send("\\x\r")
	x.wait("expanded is on")
	x.send("select 6 * 7 as answer;\r")
	x.wait("answer │ 42")
	x.send("\\d user_created\r")
	x.wait("column │ email_address")
	x.send("\\d nowhere\r")
	x.wait("error: not found: table nowhere")

	// Nobody is kept out meanwhile.
	if got := query(t, dir, "SELECT count(*) FROM user_created"); got[0] != "1" {
		t.Errorf("beside the shell: %q", got)
	}
	s := serve(t, dir)
	x.send("select 'served ' || count(*) as n from user_created;\r")
	x.wait("n │ served 1")
	s.stop()
	x.send("select 'alone ' || count(*) as n from user_created;\r")
	x.wait("n │ alone 1")
	x.send("\x04")
	x.leave(0)

	info, err := os.Stat(filepath.Join(state, "arbalest", "query_history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v, %v", info, err)
	}

	// Another day: history, and a statement that a running serve does and gives up.
	serve(t, dir)
	x = atTerminal(t, env, "query", "--data", dir, "--format", "csv")
	x.wait("arbalest> ")
	x.send("\x1b[A\x1b[A\r")
	x.wait("served 1")
	x.send("select sum(a.range * b.range) from range(1000000) a, range(1000000) b;\r")
	x.wait("b;")
	time.Sleep(300 * time.Millisecond)
	x.send("\x03")
	x.wait("cancelled")
	x.send("\\o " + filepath.Join(dir, "out.csv") + "\rselect 1 as a, 'x' as b;\r\\o\rselect 'end' as e;\r")
	x.wait("end\r\n")
	if b, err := os.ReadFile(filepath.Join(dir, "out.csv")); string(b) != "a,b\n1,x\n" {
		t.Errorf("the file has %q, %v", b, err)
	}
	x.send("\\q\r")
	x.leave(0)
}

// Statements of a file are run up to the first that fails, which is said with
// its line.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	must(t, "import", "--data", dir, write(t, filepath.Join(dir, "in.ndjson"), `{"event":"a","id":"1","data":{"n":5}}`+"\n"))
	for _, c := range []struct {
		text, out, errs string
		exit            int
	}{
		{"select n from a; -- one\n\\format csv\nselect n,\n  2 as m from a", "{\"n\":5}\nn,m\n5,2\n", "", 0},
		{"select 1 as a;\n\nselect\n nope from a;\nselect 2 as a;", "{\"a\":1}\n", "line 3: invalid", 2},
		{"select 1 as a;\nselect * from nowhere", "{\"a\":1}\n", "line 2: not found", 3},
		{"-- nothing\n", "", "there is no statement", 2},
	} {
		cmd := exec.Command(program, "query", "--data", dir, "--format", "ndjson")
		cmd.Stdin = strings.NewReader(c.text)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, _ := cmd.Output()
		if string(out) != c.out || cmd.ProcessState.ExitCode() != c.exit || !strings.Contains(errs.String(), c.errs) {
			t.Errorf("%q: exit %d\n%s%s", c.text, cmd.ProcessState.ExitCode(), out, errs.String())
		}
	}
}
