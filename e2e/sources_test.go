package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestInvariant2SourceKillNine kills serve at random moments while it takes
// messages from a stream, and restarts the broker, which is away at first. Each
// message is in the table once, each that is no event is kept, verify agrees,
// and what is in the table was acknowledged.
func TestInvariant2SourceKillNine(t *testing.T) {
	const messages, sourceKills, password = 10_000, 8, "not-for-anyones-eyes"
	brokerDir, dir := t.TempDir(), t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	start := func() *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: brokerDir, NoSigs: true, Username: "u", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("the broker does not start")
		}
		return s
	}
	end := func(s *server.Server) { s.Shutdown(); s.WaitForShutdown() }
	t.Setenv("NATS_PASSWORD", password)
	yaml := fmt.Sprintf("sources:\n  orders: {kind: nats, url: \"nats://u:${NATS_PASSWORD}@127.0.0.1:%d\", stream: ORDERS, subjects: [\"orders.>\"], event: order.placed}\n", port)
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir) // without a broker it captures all the same
	if status, a, err := post(s.url, `{"event":"posted"}`); err != nil || status != 200 || a.Accepted != 1 {
		t.Fatalf("%d %+v %v", status, a, err)
	}
	if got := scrape(t, s.url+"/readyz"); !strings.Contains(got, "ready") && !strings.Contains(got, "ok") {
		t.Errorf("/readyz: %s", got)
	}
	if got := scrape(t, s.url+"/metrics"); !strings.Contains(got, `arbalest_source_connected{source="orders"} 0`) {
		t.Errorf("/metrics does not say that the broker is away")
	}
	s.kill()
	broker := start()
	defer func() { end(broker) }()
	url := fmt.Sprintf("nats://u:%s@127.0.0.1:%d", password, port)
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		t.Fatal(err)
	}
	// What a killed serve had is delivered again after the acknowledgement's time.
	consumer, err := js.CreateConsumer(t.Context(), "ORDERS", jetstream.ConsumerConfig{Durable: "arbalest", FilterSubjects: []string{"orders.>"}, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 2 * time.Second, MaxDeliver: -1})
	if err != nil {
		t.Fatal(err)
	}
	var senders sync.WaitGroup
	for first := range 4 {
		senders.Go(func() {
			for n := first; n < messages; n += 4 {
				text := fmt.Sprintf(`{"n":%d,"customer":"c%d"}`, n, n%7)
				if n%1000 == 0 {
					text = "not json"
				}
				for {
					ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
					_, err := js.Publish(ctx, "orders.new", []byte(text), jetstream.WithMsgID(fmt.Sprint(n)))
					cancel()
					if err == nil {
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for k := range sourceKills {
		s := serve(t, dir)
		time.Sleep(time.Duration(100+random.IntN(700)) * time.Millisecond)
		if k == sourceKills/2 {
			end(broker)
			broker = start()
			time.Sleep(300 * time.Millisecond)
		}
		s.kill()
		if strings.Contains(s.log.String(), password) {
			t.Errorf("the log shows the password:\n%s", s.log)
		}
	}
	s = serve(t, dir)
	senders.Wait()
	deadline := time.Now().Add(90 * time.Second)
	for left := -1; left != 0; time.Sleep(100 * time.Millisecond) {
		info, err := consumer.Info(t.Context())
		if err == nil {
			left = info.NumAckPending + int(info.NumPending)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are not acknowledged: %v", left, err)
		}
	}
	if got := scrape(t, s.url+"/metrics"); !strings.Contains(got, `arbalest_source_connected{source="orders"} 1`) || !strings.Contains(got, `arbalest_source_messages_total{outcome="accepted",source="orders"}`) {
		t.Error("/metrics does not tell of the source")
	}
	s.stop() // syncs what it acknowledged
	must(t, "sync", "--data", dir)
	want := fmt.Sprintf("%d,%d,%d", messages-messages/1000, messages-messages/1000, messages-messages/1000)
	if got := query(t, dir, "SELECT count(*), count(DISTINCT event_id), count(DISTINCT n) FROM order_placed")[0]; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := query(t, dir, "SELECT count(*) FROM order_placed WHERE NOT regexp_matches(event_id, '^ORDERS/[0-9]+$')")[0]; got != "0" {
		t.Errorf("%s ids are not the stream's positions", got)
	}
	must(t, "verify", "--data", dir)
	if got := must(t, "rejected", "list", "--data", dir); strings.Count(got, "not_json") < 1 {
		t.Errorf("rejected list:\n%s", got)
	}
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
