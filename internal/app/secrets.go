package app

import (
	"context"
	"fmt"
	"sync"

	"github.com/gaplesslogs/gapless/internal/config"
)

// secrets resolves the references of a configuration and remembers where they led last:
// a secret that cannot be read at the moment is still the secret. It is safe for
// concurrent use.
type secrets struct {
	mu       sync.Mutex
	resolver config.Resolver
	known    map[string]string // by reference
	round    map[string]bool   // those that were read in this round
}

// newSecrets returns secrets of which nothing is known yet.
func newSecrets(r config.Resolver) *secrets {
	return &secrets{resolver: r, known: make(map[string]string), round: make(map[string]bool)}
}

// begin takes another resolver and begins a round. It returns the resolver before.
func (s *secrets) begin(r config.Resolver) (before config.Resolver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.resolver = s.resolver, r
	clear(s.round)
	return before
}

// current returns the resolver of the moment.
func (s *secrets) current() config.Resolver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolver
}

// resolve returns the value of a secret, each of which is read once in a round. One
// that cannot be read now has the value that it had before.
func (s *secrets) resolve(ctx context.Context, secret config.Secret) (string, error) {
	ref := secret.Reference()
	s.mu.Lock()
	value, known := s.known[ref]
	fresh := s.round[ref]
	s.mu.Unlock()
	if fresh {
		return value, nil
	}
	now, err := s.read(ctx, secret)
	if err != nil && known {
		return value, nil // the rotation of the tenant looks again soon, and tells of it
	}
	return now, err
}

// read reads a secret.
func (s *secrets) read(ctx context.Context, secret config.Secret) (string, error) {
	s.mu.Lock()
	resolver := s.resolver
	s.mu.Unlock()
	value, err := secret.Resolve(ctx, resolver)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if ref := secret.Reference(); ref != "" {
		s.mu.Lock()
		s.known[ref], s.round[ref] = value, true
		s.mu.Unlock()
	}
	return value, nil
}

// latest reads a secret now. One that cannot be read has the value that it had before.
func (s *secrets) latest(ctx context.Context, secret config.Secret) (string, error) {
	now, err := s.read(ctx, secret)
	if err != nil {
		if v, ok := s.last(secret); ok {
			return v, nil
		}
	}
	return now, err
}

// last returns the value that a secret had when it was last read.
func (s *secrets) last(secret config.Secret) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.known[secret.Reference()]
	return v, ok
}
