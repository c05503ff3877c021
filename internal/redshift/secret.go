package redshift

import (
	"slices"
	"strings"
	"sync"
)

// hidden stands in every text where a secret was.
const hidden = "********"

// maxSecrets is how many secrets are remembered: logins and session tokens of
// several days.
const maxSecrets = 4096

// secrets are what no error may show: passwords, keys and tokens.
type secrets struct {
	mu     sync.Mutex
	values []string
}

// keep remembers values.
func (s *secrets) keep(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if v != "" && !slices.Contains(s.values, v) {
			s.values = append(s.values, v)
		}
	}
	if extra := len(s.values) - maxSecrets; extra > 0 {
		s.values = slices.Delete(s.values, 0, extra)
	}
}

// redact takes the secrets, also as a literal spells them, out of a text.
func (s *secrets) redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.values {
		text = strings.ReplaceAll(text, v, hidden)
		text = strings.ReplaceAll(text, strings.ReplaceAll(v, "'", "''"), hidden)
	}
	return text
}
