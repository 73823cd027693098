package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A Key signs entries.
type Key struct {
	// ID names it, see PublicKey.
	ID      string
	private ed25519.PrivateKey
}

// Public returns the key that signatures are checked with.
func (k *Key) Public() PublicKey {
	return PublicKey(k.private[ed25519.SeedSize:]) // RFC 8032: the seed, then the public key
}

// errNoKey says that a text is no key.
var errNoKey = errors.New("is no Ed25519 key: use a PEM file of PKCS #8 (openssl genpkey -algorithm ed25519), or 32 bytes in base64")

// ParseKey reads a private key: PKCS #8 in PEM, or the seed in base64. The error quotes
// nothing.
func ParseKey(text string) (*Key, error) {
	seed, err := decode(text, func(der []byte) ([]byte, error) {
		k, err := x509.ParsePKCS8PrivateKey(der)
		private, ok := k.(ed25519.PrivateKey)
		if err != nil || !ok {
			return nil, errNoKey
		}
		return private.Seed(), nil
	})
	if err != nil {
		return nil, err
	}
	return newKey(seed), nil
}

// newKey makes the key of a seed.
func newKey(seed []byte) *Key {
	k := &Key{private: ed25519.NewKeyFromSeed(seed)}
	k.ID = k.Public().ID()
	return k
}

// decode reads 32 bytes that stand in a text.
func decode(text string, unpack func([]byte) ([]byte, error)) ([]byte, error) {
	text = strings.TrimSpace(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return unpack(block.Bytes)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != ed25519.SeedSize {
		return nil, errNoKey
	}
	return raw, nil
}

// Generate makes a key and returns it as PEM.
func Generate() (*Key, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("write the key: %w", err)
	}
	return newKey(private.Seed()), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// A PublicKey checks signatures.
type PublicKey ed25519.PublicKey

// ID names the key: the beginning of the SHA-256 of its 32 bytes, in hexadecimal.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k)
	return hex.EncodeToString(sum[:8])
}

// PEM returns the key as PEM, as openssl takes it.
func (k PublicKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(k))
	if err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ParsePublicKey reads a public key: PEM, or its 32 bytes in base64.
func ParsePublicKey(text string) (PublicKey, error) {
	return decode(text, func(der []byte) ([]byte, error) {
		k, err := x509.ParsePKIXPublicKey(der)
		public, ok := k.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, errNoKey
		}
		return public, nil
	})
}
