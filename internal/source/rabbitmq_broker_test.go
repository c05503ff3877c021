package source

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A rabbitBroker is a private RabbitMQ server, with a name, ports, data and a
// cookie of its own, that can be killed.
type rabbitBroker struct {
	t      *testing.T
	server string // the program
	dir    string
	env    []string
	port   int
	pid    int
	stop   *os.File // the keeper ends the server when this is closed, at the latest with the process
	keeper *exec.Cmd
}

const rabbitPassword = "not-for-anyones-eyes"

// keepRabbit starts a program, tells its id, and ends it, by that, when its input
// ends: however the test binary does.
const keepRabbit = `"$@" </dev/null >"$LOG" 2>&1 &
pid=$!
echo $pid
read -r _
kill -KILL $pid
wait $pid`

func newRabbitBroker(t *testing.T) *rabbitBroker {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server") // Debian's: the one in PATH is for its own user
	if len(found) == 0 {
		if p, err := exec.LookPath("rabbitmq-server"); err == nil {
			found = []string{p}
		}
	}
	epmd, err := exec.LookPath("epmd")
	switch missing := len(found) == 0 || err != nil; {
	case missing && os.Getenv("CI") != "":
		t.Fatal("CI must have a RabbitMQ server: make tools installs it")
	case missing:
		t.Skip("no RabbitMQ server is installed: install one (Debian: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq)")
	}
	b := &rabbitBroker{t: t, server: found[len(found)-1], dir: t.TempDir(), port: freePort(t)}
	names := port(freePort(t)) // Erlang's own daemon of names, one for this test alone
	for name, text := range map[string]string{
		".erlang.cookie":  "ARBALESTTEST",
		"enabled_plugins": "[].",
		"rabbitmq.conf":   "listeners.tcp.default = 127.0.0.1:" + port(b.port) + "\ndefault_user = u\ndefault_pass = " + rabbitPassword + "\ndisk_free_limit.absolute = 1MB\n",
		"advanced.config": "[].",
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	b.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "LANG=C.UTF-8", "RUNNING_UNDER_SYSTEMD=1", // it replaces its script, and so has its id
		"ERL_EPMD_PORT=" + names, "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=arbalest" + port(b.port) + "@localhost", "RABBITMQ_DIST_PORT=" + port(freePort(t)),
		"RABBITMQ_BASE=" + b.dir, "RABBITMQ_MNESIA_BASE=" + b.dir + "/data", "RABBITMQ_LOG_BASE=" + b.dir + "/log", "RABBITMQ_LOGS=-",
		"RABBITMQ_CONFIG_FILE=" + b.dir + "/rabbitmq.conf", "RABBITMQ_ADVANCED_CONFIG_FILE=" + b.dir + "/advanced.config",
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + b.dir + "/enabled_plugins", "RABBITMQ_CONF_ENV_FILE=/nonexistent",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none",
	}
	daemon := b.keep("epmd", epmd, "-port", names)
	b.start()
	t.Cleanup(func() {
		b.kill()
		daemon.end()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(b.dir, "rabbitmq.log"))
			t.Logf("RabbitMQ said, at last:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return b
}

func port(n int) string { return strconv.Itoa(n) }

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A kept is a program and its keeper.
type kept struct {
	keeper *exec.Cmd
	stop   *os.File
	pid    int
}

func (b *rabbitBroker) keep(name string, args ...string) *kept {
	b.t.Helper()
	input, stop, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	k := &kept{keeper: exec.Command("/bin/sh", append([]string{"-c", keepRabbit, "sh"}, args...)...), stop: stop}
	k.keeper.Stdin, k.keeper.Dir, k.keeper.SysProcAttr = input, b.dir, &syscall.SysProcAttr{Setpgid: true}
	k.keeper.Env = append([]string{"LOG=" + filepath.Join(b.dir, name+".log")}, b.env...)
	out, err := k.keeper.StdoutPipe()
	if err := errors.Join(err, k.keeper.Start(), input.Close()); err != nil {
		b.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.t.Fatal(err)
	}
	if k.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		b.t.Fatal(err)
	}
	return k
}

// end ends the program, if it has not ended.
func (k *kept) end() {
	_ = k.stop.Close()
	_ = k.keeper.Wait() // it says that its program was killed
}

func (b *rabbitBroker) start() {
	b.t.Helper()
	k := b.keep("rabbitmq", b.server)
	b.pid, b.stop, b.keeper = k.pid, k.stop, k.keeper
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := amqp.Dial(b.url())
		if err == nil {
			_ = conn.Close()
			return
		}
		if syscall.Kill(b.pid, 0) != nil || time.Now().After(deadline) {
			b.t.Fatalf("RabbitMQ does not start: %v", err)
		}
	}
}

// kill is kill -9 of the server.
func (b *rabbitBroker) kill() {
	_ = syscall.Kill(b.pid, syscall.SIGKILL) // it may have ended
	(&kept{keeper: b.keeper, stop: b.stop}).end()
}

func (b *rabbitBroker) url() string {
	return fmt.Sprintf("amqp://u:%s@127.0.0.1:%d/", rabbitPassword, b.port)
}
