package hook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/capture"
)

// A Config is a source of webhooks, as arbalest.yaml has it.
type Config struct {
	Kind string `yaml:"kind"` // github, or generic
	// Secret is what bodies are signed with. GitHub's is required.
	Secret string `yaml:"secret"`
	// Event is a JSON pointer to the event's name, or the name. GitHub's is that
	// of the header X-GitHub-Event, and the payload's action.
	Event string `yaml:"event"`
	// NamePrefix comes before what Event points to. Defaults to none, and to
	// "github." for GitHub.
	NamePrefix *string `yaml:"name_prefix"`
	// ID is a JSON pointer to the event's id, a string or a number. Defaults to
	// one that is made, so that what is sent again is there again. GitHub's is
	// the header X-GitHub-Delivery.
	ID string `yaml:"id"`
	// Time is a JSON pointer to the event's time: RFC 3339, or a number of
	// seconds or milliseconds since 1970. Defaults to the property timestamp
	// where that is one, else to that of receipt. GitHub's is said in
	// doc/capture.md.
	Time string `yaml:"time"`
	// HMAC says how bodies are signed. Defaults to not at all.
	HMAC *HMAC `yaml:"hmac"`
	// Token is a header that only the source knows. Defaults to none. A source
	// that has neither a signature nor a token needs a write key.
	Token *Token `yaml:"token"`
}

// An HMAC is a signature of the body in a header.
type HMAC struct {
	Header    string `yaml:"header"`
	Algorithm string `yaml:"algorithm"` // sha256, sha512 or sha1. Defaults to sha256
	Encoding  string `yaml:"encoding"`  // hex or base64. Defaults to hex
	Prefix    string `yaml:"prefix"`    // before the signature: "sha256="
}

// A Token is a header's value that is a secret.
type Token struct {
	Header string `yaml:"header"`
	Value  string `yaml:"value"`
}

// A source is a Config that is understood.
type source struct {
	name   string
	github bool
	prefix string
	fixed  arbalest.EventName // "" if the name is pointed to
	at     map[string]pointer // event, id and time
	secret []byte
	hmac   *signature // nil if bodies are not signed
	token  *Token
}

// A signature is how a body is signed.
type signature struct {
	header, prefix string
	hash           func() hash.Hash
	decode         func(string) ([]byte, error)
}

// source checks a configuration. The error wraps arbalest.ErrInvalid.
func (c Config) source(name string) (source, error) {
	s := source{name: name, secret: []byte(c.Secret), token: c.Token, at: map[string]pointer{}}
	bad := func(format string, args ...any) (source, error) {
		return s, fmt.Errorf("%w hooks: %.40q: "+format, append([]any{arbalest.ErrInvalid, name}, args...)...)
	}
	if arbalest.EventName(name).Validate() != nil {
		return bad("a source's name has letters, digits, '.', '_' and '-' only")
	}
	if c.NamePrefix != nil {
		s.prefix = *c.NamePrefix
	}
	switch c.Kind {
	case "github":
		if c.Event != "" || c.ID != "" || c.Time != "" || c.HMAC != nil || c.Token != nil {
			return bad("event, id, time, hmac and token of GitHub's webhooks are known: leave them out, or write kind: generic")
		}
		if c.NamePrefix == nil {
			s.prefix = "github."
		}
		s.github = true
		c.HMAC = &HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256="}
	case "generic":
		for what, text := range map[string]string{"event": c.Event, "id": c.ID, "time": c.Time} {
			if what == "event" && !strings.HasPrefix(text, "/") {
				s.fixed = arbalest.EventName(s.prefix + text)
				if err := s.fixed.Validate(); err != nil || text == "" {
					return bad("event %.80q is neither a JSON pointer such as /type nor an event's name", text)
				}
				continue
			}
			if text == "" {
				continue
			}
			p, err := parsePointer(text)
			if err != nil {
				return bad("%s: %v", what, err)
			}
			s.at[what] = p
		}
	default:
		return bad("kind %.40q: want github or generic", c.Kind)
	}
	if s.token != nil && (s.token.Header == "" || s.token.Value == "") {
		return bad("token: header and value are both needed, and not empty")
	}
	if (c.HMAC != nil) != (c.Secret != "") {
		return bad("a signature (hmac) needs a secret, and a secret is for one: neither may be missing or empty")
	}
	if c.HMAC == nil {
		return s, nil
	}
	s.hmac = &signature{header: c.HMAC.Header, prefix: c.HMAC.Prefix}
	s.hmac.hash = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha512": sha512.New, "sha1": sha1.New}[c.HMAC.Algorithm]
	s.hmac.decode = map[string]func(string) ([]byte, error){"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString}[c.HMAC.Encoding]
	switch {
	case s.hmac.header == "":
		return bad("hmac: the header that has the signature is missing")
	case s.hmac.hash == nil:
		return bad("hmac: algorithm %.40q: want sha256, sha512 or sha1", c.HMAC.Algorithm)
	case s.hmac.decode == nil:
		return bad("hmac: encoding %.40q: want hex or base64", c.HMAC.Encoding)
	}
	return s, nil
}

// open checks what can be checked without the body, and returns what the sender
// may send. The error wraps arbalest.ErrDenied.
func (s source) open(h *capture.Handler, header http.Header) (capture.Pass, error) {
	if s.token != nil {
		// Hashes are compared, so that the time says nothing of the length either.
		got, want := sha256.Sum256([]byte(header.Get(s.token.Header))), sha256.Sum256([]byte(s.token.Value))
		if !hmac.Equal(got[:], want[:]) {
			return nil, s.denied(s.token.Header, "is missing or has another value than under token in arbalest.yaml")
		}
	}
	if s.hmac != nil {
		if header.Get(s.hmac.header) == "" {
			return nil, s.denied(s.hmac.header, "is missing: give the webhook the secret that is in arbalest.yaml")
		}
		return nil, nil
	}
	if s.token != nil {
		return nil, nil
	}
	return h.Pass(capture.Token(header))
}

// verify checks the signature of a body, if the source signs. The error wraps
// arbalest.ErrDenied.
func (s source) verify(header http.Header, body []byte) error {
	if s.hmac == nil {
		return nil
	}
	text, ok := strings.CutPrefix(header.Get(s.hmac.header), s.hmac.prefix)
	got, err := s.hmac.decode(text)
	mac := hmac.New(s.hmac.hash, s.secret)
	mac.Write(body)
	if !ok || err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return s.denied(s.hmac.header, "is not the signature of this body: is the webhook's secret that in arbalest.yaml?")
	}
	return nil
}

func (s source) denied(header, why string) error {
	return fmt.Errorf("%w: hook %s: %s %s", arbalest.ErrDenied, s.name, header, why)
}

// event makes an event of a payload. bad says that there is none.
func (s source) event(header http.Header, payload []byte, bad *capture.Refusal, now time.Time) capture.Foreign {
	if bad == nil {
		bad = check(payload)
	}
	if s.github {
		return s.githubEvent(header, payload, bad, now)
	}
	return s.genericEvent(payload, bad)
}
