package capture

import (
	"net"
	"strings"
	"testing"
)

// BenchmarkFront sends one event at a time over one connection that is kept
// alive, to a store that keeps nothing: what a request costs, with its share of
// the kernel. A key is checked where there is a gate.
func BenchmarkFront(b *testing.B) {
	for _, c := range []struct {
		name string
		head string
		gate Gate
	}{
		{"keyless", "", nil},
		{"keyed", "Authorization: Bearer " + strings.Repeat("k", 48) + "\r\n", someGate{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, addr := listening(b, newHandler(b, Options{Appender: null{}, Gate: c.gate}))
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			sent, room := []byte(requestOf(c.head, string(someEvents(1)))), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(sent); err != nil {
					b.Fatal(err)
				}
				if n, err := conn.Read(room); err != nil || !strings.HasPrefix(string(room[:n]), "HTTP/1.1 200") {
					b.Fatalf("%q, %v", room[:n], err)
				}
			}
		})
	}
}

// BenchmarkParseHead is what a head costs.
func BenchmarkParseHead(b *testing.B) {
	head := []byte(strings.TrimSuffix(requestOf("User-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Type: application/json\r\n", "{}"), "{}"))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := parseHead(head, 1000); !ok {
			b.Fatal("not parsed")
		}
	}
}

// someGate lets anyone in who has a token.
type someGate struct{}

func (someGate) Open(string) (Pass, error) { return everything{}, nil }
