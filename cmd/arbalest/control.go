package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
	"arbalest/pipeline"
)

// Commands reach the serve that has a place open over loopback, by the address
// and the token in DIR/serve.json, which only its owner can read. Every answer
// is a stream of messages, one JSON line each.
//
// A message has one of its members.
type message struct {
	Progress *progress                `json:"progress,omitempty"`
	Columns  []warehouse.ResultColumn `json:"columns,omitempty"`
	Row      []warehouse.Value        `json:"row,omitempty"`
	Result   json.RawMessage          `json:"result,omitempty"` // the last one
	Error    *remoteError             `json:"error,omitempty"`  // the last one
}

// A remoteError is an error on its way from serve to a command.
type remoteError struct {
	Message string `json:"message"`
	Exit    int    `json:"exit"`
}

func newRemoteError(err error) *remoteError {
	return &remoteError{err.Error(), arbalest.OutcomeOf(err).Exit}
}

// Error implements error.
func (e *remoteError) Error() string { return e.Message }

// Unwrap gives the sentinel back, so that the command exits as it would have.
func (e *remoteError) Unwrap() error {
	for _, o := range arbalest.Outcomes {
		if o.Exit == e.Exit {
			return o.Err
		}
	}
	return nil
}

// A request is what a command asks for.
type request struct {
	SQL string `json:"sql,omitempty"`

	Pipeline pipelineRequest `json:"pipeline"`
	Model    modelRequest    `json:"model"`
	Event    eventRequest    `json:"event"`
	Verify   verifyRequest   `json:"verify"`
	Table    tableRequest    `json:"table"`
	Runs     pipeline.Filter `json:"runs"`
	Trial    trialRequest    `json:"trial"`
	Rebuild  rebuildRequest  `json:"rebuild"`
	Erase    eraseRequest    `json:"erase"`
	Archive  archiveRequest  `json:"archive"`
	Restore  restoreRequest  `json:"restore"`
}

// A contact is DIR/serve.json.
type contact struct {
	PID     int    `json:"pid"`
	Control string `json:"control"` // host:port
	Token   string `json:"token"`
	Capture string `json:"capture"` // URL
}

// A control is the side of serve that commands talk to.
type control struct {
	op     operator
	token  string
	server *http.Server
	file   string
}

// listenControl starts answering on a port of its own choice and says where in
// the file.
func listenControl(op operator, file, capture string) (*control, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	c := &control{op: op, token: rand.Text(), file: file}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sync", c.handle(func(ctx context.Context, _ request, s *stream) (any, error) { return op.Sync(ctx, s.show) }))
	mux.HandleFunc("POST /verify", c.handle(func(ctx context.Context, r request, s *stream) (any, error) { return op.Verify(ctx, r.Verify, s.show) }))
	mux.HandleFunc("POST /status", c.handle(func(ctx context.Context, _ request, _ *stream) (any, error) { return op.Status(ctx) }))
	mux.HandleFunc("POST /rebuild", c.handle(func(ctx context.Context, r request, s *stream) (any, error) {
		return op.Rebuild(ctx, r.Rebuild, s.show)
	}))
	mux.HandleFunc("POST /try", c.handle(func(ctx context.Context, r request, s *stream) (any, error) { return op.Try(ctx, r.Trial, s.show) }))
	mux.HandleFunc("POST /compact", c.handle(func(ctx context.Context, _ request, s *stream) (any, error) { return op.Compact(ctx, s.show) }))
	mux.HandleFunc("POST /erase", c.handle(func(ctx context.Context, r request, s *stream) (any, error) { return op.Erase(ctx, r.Erase, s.show) }))
	mux.HandleFunc("POST /archive", c.handle(func(ctx context.Context, r request, s *stream) (any, error) {
		return op.Archive(ctx, r.Archive, s.show)
	}))
	mux.HandleFunc("POST /restore", c.handle(func(ctx context.Context, r request, s *stream) (any, error) {
		return op.Restore(ctx, r.Restore, s.show)
	}))
	mux.HandleFunc("POST /run", c.handle(func(ctx context.Context, r request, s *stream) (any, error) { return op.Run(ctx, r.Pipeline, s.show) }))
	mux.HandleFunc("POST /validate", c.handle(func(ctx context.Context, r request, s *stream) (any, error) {
		return op.Validate(ctx, r.Pipeline, s.show)
	}))
	mux.HandleFunc("POST /plan", c.handle(func(ctx context.Context, r request, _ *stream) (any, error) { return op.Plan(ctx, r.Pipeline) }))
	mux.HandleFunc("POST /build", c.handle(func(ctx context.Context, r request, s *stream) (any, error) { return op.Build(ctx, r.Model, s.show) }))
	mux.HandleFunc("POST /test", c.handle(func(ctx context.Context, r request, _ *stream) (any, error) { return op.Test(ctx, r.Model) }))
	mux.HandleFunc("POST /models", c.handle(func(ctx context.Context, r request, _ *stream) (any, error) { return op.Models(ctx, r.Model) }))
	mux.HandleFunc("POST /events", c.handle(func(ctx context.Context, _ request, _ *stream) (any, error) { return op.Events(ctx) }))
	mux.HandleFunc("POST /event", c.handle(func(ctx context.Context, r request, _ *stream) (any, error) { return op.Event(ctx, r.Event) }))
	mux.HandleFunc("POST /tables", c.handle(func(ctx context.Context, _ request, _ *stream) (any, error) { return op.Tables(ctx) }))
	mux.HandleFunc("POST /table", c.handle(func(ctx context.Context, r request, _ *stream) (any, error) { return op.Table(ctx, r.Table) }))
	mux.HandleFunc("POST /runs", c.handle(func(ctx context.Context, r request, _ *stream) (any, error) { return op.Runs(ctx, r.Runs) }))
	mux.HandleFunc("POST /land", c.handle(func(ctx context.Context, _ request, _ *stream) (any, error) { return nil, op.Land(ctx) }))
	mux.HandleFunc("POST /query", c.handle(func(ctx context.Context, r request, s *stream) (any, error) { return nil, op.Query(ctx, r.SQL, s) }))
	c.server = &http.Server{Handler: mux}
	go c.server.Serve(ln) //nolint:errcheck // ends with Close
	b, err := json.Marshal(contact{os.Getpid(), ln.Addr().String(), c.token, capture})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", file, err)
	}
	if err := replaceFile(file, append(b, '\n')); err != nil {
		return nil, errors.Join(err, c.server.Close())
	}
	return c, nil
}

// Close stops answering and removes the file.
func (c *control) Close(ctx context.Context) error {
	// Another serve may have come on the place, where the warehouse lets it.
	if b, err := os.ReadFile(c.file); err == nil && strings.Contains(string(b), c.token) {
		_ = os.Remove(c.file)
	}
	if err := c.server.Shutdown(ctx); err != nil {
		return c.server.Close()
	}
	return nil
}

func (c *control) handle(do func(context.Context, request, *stream) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+c.token)) != 1 {
			http.Error(w, "wrong token", http.StatusUnauthorized)
			return
		}
		var req request
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s := newStream(w)
		result, err := do(r.Context(), req, s)
		last := message{Result: json.RawMessage("{}")}
		if err == nil && result != nil {
			last.Result, err = json.Marshal(result)
		}
		if err != nil {
			last = message{Error: newRemoteError(err)}
		}
		s.send(last) //nolint:errcheck // the command is gone
		s.out.Flush()
	}
}

// A stream writes messages. As a rowSink it writes a query's result.
type stream struct {
	out  *bufio.Writer
	enc  *json.Encoder
	ctrl *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	out := bufio.NewWriterSize(w, 64<<10)
	return &stream{out, json.NewEncoder(out), http.NewResponseController(w)}
}

func (s *stream) send(m message) error { return s.enc.Encode(m) }

// show sends progress at once.
func (s *stream) show(p progress) {
	if s.send(message{Progress: &p}) == nil && s.out.Flush() == nil {
		_ = s.ctrl.Flush()
	}
}

// Columns implements rowSink.
func (s *stream) Columns(c []warehouse.ResultColumn) error { return s.send(message{Columns: c}) }

// Row implements rowSink.
func (s *stream) Row(v []warehouse.Value) error { return s.send(message{Row: v}) }
