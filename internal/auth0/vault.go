package auth0

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A TokenCache keeps small values across restarts. What it is given is sealed:
// it can be opened with the application's credentials alone.
type TokenCache interface {
	// Load returns the value kept under key, and nothing when there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save keeps a value under key in place of the one before.
	Save(ctx context.Context, key string, value []byte) error
}

// vault seals the token for a TokenCache with AES-256-GCM. The key comes from
// the client secret or private key, so that a copy of the cache gives nobody
// access who has none, and a change of the credentials makes it void. Tenant,
// audience and application are bound in as well.
type vault struct {
	cache TokenCache
	key   string
	aead  cipher.AEAD
	bound []byte
}

// newVault derives the key of a configuration whose defaults are filled in.
func newVault(cache TokenCache, cfg Config) (*vault, error) {
	secret := cfg.ClientSecret
	if secret == "" {
		secret = cfg.PrivateKey
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "gapless auth0 access token v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	bound := []byte(strings.Join([]string{cfg.Domain, cfg.Audience, cfg.ClientID}, "\x00"))
	sum := sha256.Sum256(bound)
	return &vault{cache: cache, key: "auth0-token-" + hex.EncodeToString(sum[:16]), aead: aead, bound: bound}, nil
}

// errSealed is a kept value that these credentials do not open.
var errSealed = errors.New("it was kept under other credentials, or is damaged")

// load returns the kept token; the zero token when there is none.
func (v *vault) load(ctx context.Context) (token, error) {
	sealed, err := v.cache.Load(ctx, v.key)
	if err != nil {
		return token{}, fmt.Errorf("load access token: %w", err)
	}
	if len(sealed) == 0 {
		return token{}, nil
	}
	plain, err := v.aead.Open(nil, nil, sealed, v.bound)
	if err != nil {
		return token{}, fmt.Errorf("open access token: %w", errSealed)
	}
	var t token
	if err := json.Unmarshal(plain, &t); err != nil {
		return token{}, fmt.Errorf("read access token: %w", errSealed)
	}
	return t, nil
}

// save keeps a token.
func (v *vault) save(ctx context.Context, t token) error {
	plain, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("write access token: %w", err)
	}
	sealed := v.aead.Seal(nil, nil, plain, v.bound) //nolint:gosec // no nonce is given: the cipher draws a random one
	if err := v.cache.Save(ctx, v.key, sealed); err != nil {
		return fmt.Errorf("save access token: %w", err)
	}
	return nil
}
