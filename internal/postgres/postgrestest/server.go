// Package postgrestest runs a private PostgreSQL server for tests, and stands
// between a client and a server as a network that fails (Proxy).
//
// What it stores is in a temporary directory, which is gone when the test binary
// is. The server runs with fsync off: a commit survives the death of any
// process, though not of the machine.
package postgrestest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Password is the one of the server's only user, arbalest. No error and no log
// may show it.
const Password = "not-for-anyones-eyes"

const (
	startTimeout = time.Minute
	portTries    = 5
)

// errNoServer says that there is no PostgreSQL here.
var errNoServer = errors.New("no PostgreSQL server is installed: install one (Debian: sudo apt-get install postgresql; macOS: brew install postgresql)")

// shared is the test binary's server. It is made once, because initdb takes a
// second, and lives as long as the process: its keeper (keep) ends it.
var shared = sync.OnceValues(start)

// Start returns the address of a new, empty database on the test binary's own
// server: a URL with user and password, without TLS, whose user may do all. The
// database is dropped when the test ends. Where no server is installed the test
// is skipped, or fails if the environment has CI set.
func Start(t testing.TB) (dsn string) {
	t.Helper()
	s, err := shared()
	switch {
	case errors.Is(err, errNoServer) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	name, err := s.createDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return s.dsn(name)
}

// Run is Start for a program that is no test: the database is there until the
// process ends.
func Run() (dsn string, err error) {
	s, err := shared()
	if err != nil {
		return "", err
	}
	name, err := s.createDatabase()
	return s.dsn(name), err
}

// createDatabase makes a new, empty database.
func (s *server) createDatabase() (name string, err error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	name = "test_" + hex.EncodeToString(random[:])
	if err := s.exec("CREATE DATABASE " + name + " TEMPLATE template0 STRATEGY file_copy"); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return name, nil
}

// A server is a running PostgreSQL.
type server struct {
	dir  string
	port int
	log  string
	stop *os.File // the keeper ends the server when this is closed, at the latest with the process
}

func (s *server) dsn(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("arbalest", Password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

func start() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "arbalest-postgres-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, log: filepath.Join(dir, "log")}
	if err := s.create(bin, as); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for try := 1; ; try++ {
		err := s.start(bin, as)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || try == portTries {
			return nil, err
		}
	}
}

// binaries returns the directory that initdb and postgres are in: of PATH, else
// Debian's newest.
func binaries() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	if len(found) == 0 {
		return "", errNoServer
	}
	version := func(p string) int {
		n, _ := strconv.Atoi(strings.Split(p, "/")[4])
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// unprivileged returns whom the server runs as: nil for ourselves, or, as it
// refuses to be root, postgres or nobody.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody: make one")
}

// create makes the server's directory.
func (s *server) create(bin string, as *syscall.Credential) error {
	passwords := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwords, []byte(Password), 0o600); err != nil {
		return err
	}
	if as != nil {
		for _, path := range []string{s.dir, passwords} {
			if err := os.Chown(path, int(as.Uid), int(as.Gid)); err != nil {
				return err
			}
		}
	}
	c := exec.Command(filepath.Join(bin, "initdb"), "--pgdata", filepath.Join(s.dir, "data"), "--username=arbalest", "--pwfile="+passwords,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	c.Dir, c.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// keep starts a server and ends it, by its id, when its input ends: however the
// test binary does. It removes the directory then.
const keep = `"$1/postgres" -D "$2/data" -h 127.0.0.1 -p "$3" -k '' -c fsync=off -c full_page_writes=off -c max_connections=200 >"$2/log" 2>&1 &
pid=$!
read -r _
kill -QUIT $pid
wait $pid
rm -rf "$2"`

// start starts the server on a free port and waits until it answers. The error
// is EADDRINUSE if another program was faster with the port.
func (s *server) start(bin string, as *syscall.Credential) (err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return err
	}
	input, stop, err := os.Pipe()
	if err != nil {
		return err
	}
	s.stop = stop
	c := exec.Command("/bin/sh", "-c", keep, "sh", bin, s.dir, strconv.Itoa(s.port))
	c.Dir, c.Stdin, c.SysProcAttr = s.dir, input, &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if err := errors.Join(c.Start(), input.Close()); err != nil {
		return errors.Join(err, stop.Close())
	}
	go func() { _ = c.Wait() }() // ends with the server, which is the process's end at the latest
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		err := s.exec("SELECT 1")
		if err == nil {
			return nil
		}
		log, _ := os.ReadFile(s.log) // may not be there yet
		if strings.Contains(string(log), "could not create any TCP/IP sockets") {
			return syscall.EADDRINUSE // the directory is kept: the keeper has it until the process ends
		}
		if strings.Contains(string(log), "FATAL:  could not") || time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("start PostgreSQL: %w: %s", err, log), stop.Close())
		}
	}
}
