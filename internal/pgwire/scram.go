package pgwire

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// scramRounds is PostgreSQL's own default.
const scramRounds = 4096

// A secret is what SCRAM-SHA-256 (RFC 5802, 7677) keeps of a password.
type secret struct {
	salt              []byte
	stored, serverKey []byte
}

func newSecret(password string) (*secret, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramRounds, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return &secret{salt, stored[:], mac(salted, "Server Key")}, nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// authenticate asks a client for the password.
func (s *session) authenticate(secret *secret) error {
	wrong := fatal("28P01", "password authentication failed for user \"arbalest\"")
	s.backend.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
	first, err := s.answer(pgproto3.AuthTypeSASL)
	if err != nil {
		return err
	}
	initial, ok := first.(*pgproto3.SASLInitialResponse)
	if !ok || initial.AuthMechanism != "SCRAM-SHA-256" {
		return fatal("08P01", "only SCRAM-SHA-256 is known")
	}
	message := string(initial.Data)
	header, bare := "", ""
	for _, h := range []string{"n,,", "y,,"} {
		if rest, ok := strings.CutPrefix(message, h); ok {
			header, bare = h, rest
		}
	}
	nonce := attribute(bare, "r")
	if header == "" || nonce == "" {
		return fatal("08P01", "this form of SCRAM-SHA-256 is not known")
	}
	nonce += rand.Text()
	challenge := fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(secret.salt), scramRounds)
	s.backend.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
	second, err := s.answer(pgproto3.AuthTypeSASLContinue)
	if err != nil {
		return err
	}
	response, ok := second.(*pgproto3.SASLResponse)
	if !ok {
		return fatal("08P01", "a SASL response was expected")
	}
	message = string(response.Data)
	cut := strings.LastIndex(message, ",p=")
	if cut < 0 || attribute(message, "r") != nonce || attribute(message, "c") != base64.StdEncoding.EncodeToString([]byte(header)) {
		return wrong
	}
	proof, err := base64.StdEncoding.DecodeString(message[cut+3:])
	all := bare + "," + challenge + "," + message[:cut]
	if err != nil || !secret.proves(proof, all) {
		return wrong
	}
	signature := base64.StdEncoding.EncodeToString(mac(secret.serverKey, all))
	s.backend.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte("v=" + signature)})
	return nil
}

// proves says whether a client's proof is that of one who knows the password.
func (k *secret) proves(proof []byte, message string) bool {
	signature := mac(k.stored, message)
	if len(proof) != len(signature) {
		return false
	}
	key := make([]byte, len(proof))
	for i := range proof {
		key[i] = proof[i] ^ signature[i]
	}
	stored := sha256.Sum256(key)
	return hmac.Equal(stored[:], k.stored)
}

// answer sends what is due and receives a message of authentication.
func (s *session) answer(kind uint32) (pgproto3.FrontendMessage, error) {
	if err := s.backend.Flush(); err != nil {
		return nil, err
	}
	if err := s.backend.SetAuthType(kind); err != nil {
		return nil, err
	}
	return s.backend.Receive()
}

// attribute returns the value of an attribute of a SCRAM message.
func attribute(message, name string) string {
	for part := range strings.SplitSeq(message, ",") {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return value
		}
	}
	return ""
}
