// Package keys says who may send events: the write keys of a place, and the gate
// of capture that they make.
//
// It stores one file, keys.yaml, and of each key only the SHA-256 hash. A plain,
// fast hash is right here, where it would be wrong for passwords: a key is 32
// random bytes of ours, so there is nothing to guess from a dictionary, and
// finding one that has a given hash takes 2^255 tries however fast each is; a
// slow hash would only be paid by every request. A salt or a secret beside the
// file would add nothing either, as no two keys are the same.
//
// A request's key is hashed and looked up by its hash, which is then compared in
// constant time. How long a look-up takes tells a little of the hash of what was
// sent, which the sender knows; it tells nothing of the keys.
//
// The commit point is the rename of a new file over the old one. Whoever reads
// the file sees the one or the other.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"strings"
	"time"

	"arbalest"
)

// A Key is what is known of a write key: not the key.
type Key struct {
	ID   string `yaml:"id" json:"id"`
	Name string `yaml:"name" json:"name"`
	// Hash is "sha256:" and the hash of the key in hexadecimal digits.
	Hash string `yaml:"hash" json:"-"`
	// Events are patterns of the names that it may send, in which * stands for
	// any characters: "user.*". Defaults to all.
	Events []string `yaml:"events,omitempty" json:"events,omitempty"`
	// Rate is how many events it may send in a second. Defaults to any number.
	Rate float64 `yaml:"rate,omitempty" json:"rate,omitempty"`
	// Burst is how many it may send at once, if it has sent none for a while.
	// Defaults to ten seconds' worth, and at least one.
	Burst   int        `yaml:"burst,omitempty" json:"burst,omitempty"`
	Created time.Time  `yaml:"created" json:"created"`
	Revoked *time.Time `yaml:"revoked,omitempty" json:"revoked,omitempty"`
}

// prefix begins every key, so that scanners for leaked secrets can know one.
const prefix = "arb_"

// hashPrefix says how a key is hashed.
const hashPrefix = "sha256:"

// maxName is the longest name of a key, in bytes.
const maxName = 100

// make returns a new key and its token. now is its time of creation.
func (k Key) make(now time.Time) (Key, string, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	token := prefix + base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(token))
	k.ID, k.Hash, k.Created = strings.ToLower(rand.Text()[:10]), hashPrefix+hex.EncodeToString(hash[:]), now.UTC().Truncate(time.Second)
	_, err := k.hash()
	return k, token, err
}

// hash checks the key and returns its hash.
func (k Key) hash() (hash [sha256.Size]byte, err error) {
	bad := func(format string, args ...any) ([sha256.Size]byte, error) {
		return hash, fmt.Errorf("%w key %.40q: "+format, append([]any{arbalest.ErrInvalid, k.ID}, args...)...)
	}
	digits, ok := strings.CutPrefix(k.Hash, hashPrefix)
	b, err := hex.DecodeString(digits)
	copy(hash[:], b)
	switch {
	case k.ID == "":
		return bad("it has no id")
	case !ok || err != nil || len(b) != len(hash):
		return bad("its hash is not sha256: and 64 hexadecimal digits")
	case k.Name == "" || len(k.Name) > maxName:
		return bad("its name has %d bytes: give it one of 1 to %d", len(k.Name), maxName)
	case k.Rate < 0 || math.IsNaN(k.Rate) || math.IsInf(k.Rate, 0):
		return bad("rate %v is no number of events per second: leave it out for any number", k.Rate)
	case k.Burst < 0 || k.Burst > math.MaxInt32:
		return bad("burst %d is no number of events", k.Burst)
	case k.Burst > 0 && k.Rate == 0:
		return bad("a burst means nothing without a rate: give it one")
	}
	for _, pattern := range k.Events {
		if name := strings.ReplaceAll(pattern, "*", "a"); arbalest.EventName(name).Validate() != nil {
			return bad("events %.80q is no pattern of event names: write one such as user.created or user.*", pattern)
		}
	}
	return hash, nil
}

// burst returns how many events may come at once.
func (k Key) burst() int {
	if k.Burst > 0 {
		return k.Burst
	}
	return int(min(max(10*k.Rate, 1), math.MaxInt32))
}

// allows says whether events of a name may be sent.
func (k Key) allows(name arbalest.EventName) bool {
	for _, pattern := range k.Events {
		if ok, _ := path.Match(pattern, string(name)); ok { // names have no /
			return true
		}
	}
	return len(k.Events) == 0
}
