package redshifttest

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"unicode/utf8"
)

const (
	maxName      = 127 // Redshift's names, in bytes
	maxPostgres  = 63  // PostgreSQL's
	shortenedTo  = 46  // of the name's own bytes
	shortenedSum = 8   // bytes of its hash
)

// names folds names as Redshift does, and gives those that PostgreSQL would cut
// shorter ones. It remembers them, so that clients see their own.
type names struct {
	mu   sync.Mutex
	long map[string]string // by short name
}

// fold returns a name as Redshift has it: lower case, also where it was quoted,
// and cut at 127 bytes.
func (n *names) fold(name string) string {
	name = fold(name)
	if len(name) > maxName {
		name = name[:maxName]
		for !utf8.ValidString(name) {
			name = name[:len(name)-1]
		}
	}
	return name
}

// short returns a folded name as PostgreSQL has it.
func (n *names) short(name string) string {
	if len(name) <= maxPostgres {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	head := name[:shortenedTo]
	for !utf8.ValidString(head) {
		head = head[:len(head)-1]
	}
	short := head + "~" + hex.EncodeToString(sum[:shortenedSum])
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.long == nil {
		n.long = map[string]string{}
	}
	n.long[short] = name
	return short
}

// original returns the name that a short one stands for, or itself.
func (n *names) original(short string) string {
	if len(short) <= shortenedTo {
		return short
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if name, ok := n.long[short]; ok {
		return name
	}
	return short
}

// known returns the short name of a name that was used, or the text itself: for
// texts that catalogs are asked by.
func (n *names) known(text string) string {
	if len(text) <= maxPostgres || len(text) > maxName {
		return text
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for short, name := range n.long {
		if name == text {
			return short
		}
	}
	return text
}
