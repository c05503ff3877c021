package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sent posts with headers, and returns the status, the headers and the body.
func sent(t *testing.T, client *http.Client, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(b)
}

// becomes waits until an event sent with a key is answered with a status.
func becomes(t *testing.T, url, key string, want int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status, _, body := sent(t, http.DefaultClient, url+"/v1/events", `{"event":"user.tried","id":"t","timestamp":"2026-01-01T00:00:00Z"}`, "Authorization", "Bearer "+key)
		if status == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("status %d, want %d: %s", status, want, body)
		}
	}
}

// A keyOf is what keys new --json prints.
type keyOf struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

func newKeyOf(t *testing.T, dir string, args ...string) (k keyOf) {
	t.Helper()
	out := must(t, append([]string{"keys", "new", "--data", dir, "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &k); err != nil || k.Key == "" {
		t.Fatalf("%s: %v", out, err)
	}
	return k
}

// Keys are made, used and revoked while serve runs.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	becomes(t, s.url, "", 200) // as there are none
	all := newKeyOf(t, dir, "--name", "all")
	becomes(t, s.url, "", 401)
	becomes(t, s.url, all.Key, 200)
	some := newKeyOf(t, dir, "--name", "some", "--events", "user.*, order.paid")
	slow := newKeyOf(t, dir, "--name", "slow", "--rate", "0.5", "--burst", "2")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	becomes(t, s.url, some.Key, 200)

	url := s.url + "/v1/events"
	status, _, body := sent(t, http.DefaultClient, url, `[{"event":"user.created"},{"event":"order.created","id":"kept"}]`, "X-Api-Key", some.Key)
	if status != 200 || !strings.Contains(body, `"index":1`) || !strings.Contains(body, `"code":"not_allowed"`) {
		t.Errorf("%d %s", status, body)
	}
	status, header, body := sent(t, http.DefaultClient, url, `{"event":"user.created"}`, "X-Request-Id", "who-was-it")
	if status != 401 || header.Get("WWW-Authenticate") == "" || header.Get("X-Request-Id") != "who-was-it" || !strings.Contains(body, "Bearer") {
		t.Errorf("%d %v %s", status, header, body)
	}
	if status, _, body := sent(t, http.DefaultClient, url, `[{"event":"a"},{"event":"a"}]`, "X-Api-Key", slow.Key); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	status, header, body = sent(t, http.DefaultClient, url, `{"event":"a"}`, "X-Api-Key", slow.Key)
	if after, err := strconv.Atoi(header.Get("Retry-After")); status != 429 || err != nil || after < 1 || after > 2 || !strings.Contains(body, `"retry":true`) {
		t.Errorf("%d %v %s", status, header, body)
	}
	if status, _, body := sent(t, http.DefaultClient, url, `[{"event":"a"},{"event":"a"},{"event":"a"}]`, "X-Api-Key", slow.Key); status != 413 {
		t.Errorf("%d %s", status, body)
	}
	must(t, "keys", "revoke", "--data", dir, all.ID)
	becomes(t, s.url, all.Key, 401)
	if out := must(t, "keys", "list", "--data", dir); !strings.Contains(out, "order.paid") || !strings.Contains(out, "0.5/s") || strings.Contains(out, some.Key) {
		t.Error(out)
	}
	s.stop()
	for _, k := range []keyOf{all, some, slow} {
		if strings.Contains(s.log.String(), k.Key) {
			t.Error("a key is in the log")
		}
	}
	if !strings.Contains(s.log.String(), "request=who-was-it") {
		t.Error("the refused request is not in the log")
	}
	if got := query(t, dir, "SELECT count(*) FROM user_created")[0]; got != "1" {
		t.Errorf("%s events of user.created are stored", got)
	}
	// The one that is tried again and again is there once.
	if got := query(t, dir, "SELECT count(*) FROM user_tried")[0]; got != "1" {
		t.Errorf("%s events of user.tried", got)
	}
	must(t, "verify", "--data", dir)
	if info, err := os.Stat(filepath.Join(dir, "keys.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Without a key serve does not listen where others could send events.
func TestOnlyLoopbackWithoutKeys(t *testing.T) {
	dir := t.TempDir()
	_, stderr, exit := run(t, "serve", "--data", dir, "--listen", "0.0.0.0:0")
	if exit != 2 || !strings.Contains(stderr, "arbalest keys new") || !strings.Contains(stderr, "insecure") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	if _, stderr, exit := run(t, "keys", "new", "--data", dir, "--name", "n", "--events", "a b"); exit != 2 || !strings.Contains(stderr, "a b") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	if _, stderr, exit := run(t, "keys", "revoke", "--data", dir, "nobody"); exit != 3 {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	k := newKeyOf(t, dir, "--name", "n")
	s := serve(t, dir, "--listen", "0.0.0.0:0")
	becomes(t, s.url, "", 401)
	becomes(t, s.url, k.Key, 200)
	s.stop()

	open := t.TempDir()
	if err := os.WriteFile(filepath.Join(open, "arbalest.yaml"), []byte("insecure: true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = serve(t, open, "--listen", "0.0.0.0:0")
	becomes(t, s.url, "", 200)
	s.stop()
}

// selfSigned writes a certificate for 127.0.0.1, and returns a pool with it.
func selfSigned(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "arbalest test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: secret}, "cert.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return pool
}

// trusting returns a client that trusts a pool only.
func trusting(pool *x509.CertPool, most uint16) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: most}, ForceAttemptHTTP2: true}}
}

// Capture over TLS, with a certificate that is replaced while it runs; commands
// reach it all the same.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	pool := selfSigned(t, dir, 1)
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte("tls: {cert: cert.pem, key: key.pem}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir)
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Fatal(s.url)
	}
	client := trusting(pool, 0)
	a, err := client.Post(s.url+"/v1/events", "application/json", strings.NewReader(`{"event":"a","id":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != 200 || a.ProtoMajor != 2 || a.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d %s %v", a.StatusCode, a.Proto, a.Header)
	}
	if _, err := trusting(pool, tls.VersionTLS11).Get(s.url + "/healthz"); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	if err := exec.Command("cp", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "old.pem")).Run(); err != nil {
		t.Fatal(err)
	}
	next := selfSigned(t, dir, 2)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := trusting(next, 0).Get(s.url + "/healthz"); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	// What does not fit leaves it as it is.
	if err := os.Rename(filepath.Join(dir, "old.pem"), filepath.Join(dir, "cert.pem")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	if _, err := trusting(next, 0).Get(s.url + "/healthz"); err != nil {
		t.Error(err)
	}
	must(t, "sync", "--data", dir)
	if got := query(t, dir, "SELECT count(*) FROM a")[0]; got != "1" {
		t.Errorf("%s events", got)
	}
	s.stop()
	if !strings.Contains(s.log.String(), "certificate cannot be read") {
		t.Errorf("the log does not say that the certificate is wrong")
	}
	if _, stderr, exit := run(t, "serve", "--data", dir, "--listen", "127.0.0.1:0"); exit != 2 {
		t.Errorf("a certificate that does not fit: exit %d: %s", exit, stderr)
	}
}
