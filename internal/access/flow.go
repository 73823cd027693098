package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	// flowTime is how long a way to the provider and back, or the filling in of the form, may take.
	flowTime = 10 * time.Minute
	// maxUsed bounds how many ways that were gone are remembered. Each took the provider
	// to let somebody through.
	maxUsed = 4096
)

// A flow is one way to the provider and back. It is kept in a cookie of the browser that
// goes it, sealed, so that nobody can fill a memory with ways that are never gone.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Next     string    `json:"next"`
	Redirect string    `json:"redirect"`
	By       string    `json:"by"` // fingerprint of the provider
	Until    time.Time `json:"until"`
}

var errFlow = errors.New("the login is unknown, too old or was finished before")

// newFlow begins a way.
func newFlow(next, redirect, by string) flow {
	return flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Redirect: redirect, By: by, Until: time.Now().Add(flowTime)}
}

// A sealer seals flows with a key that lives as long as the process, and takes each once.
type sealer struct {
	aead cipher.AEAD

	mu   sync.Mutex
	used map[[sha256.Size]byte]time.Time // states, until when they must be remembered
}

func newSealer() (*sealer, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return &sealer{aead: aead, used: make(map[[sha256.Size]byte]time.Time)}, nil
}

// seal returns the value of the cookie.
func (s *sealer) seal(f flow) (string, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("write flow: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, nil)), nil //nolint:gosec // it makes a nonce of its own
}

// open reads a cookie, for an answer with a state. It takes a flow once.
func (s *sealer) open(cookie, state, by string) (flow, error) {
	var f flow
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return flow{}, errFlow
	}
	plain, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil || json.Unmarshal(plain, &f) != nil {
		return flow{}, errFlow
	}
	now := time.Now()
	if f.State == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1 || f.By != by || now.After(f.Until) || !s.once(f, now) {
		return flow{}, errFlow
	}
	return f, nil
}

// once reports whether a flow is seen for the first time.
func (s *sealer) once(f flow, now time.Time) bool {
	sum := sha256.Sum256([]byte(f.State))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.used[sum]; ok {
		return false
	}
	for k, until := range s.used {
		if now.After(until) {
			delete(s.used, k)
		}
	}
	if len(s.used) >= maxUsed {
		return false // within ten minutes: not people
	}
	s.used[sum] = f.Until
	return true
}
