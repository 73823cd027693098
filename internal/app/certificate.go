package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

// certificateCheck is how often, at most, the files of a certificate are looked
// at: with the first handshake after it.
const certificateCheck = 2 * time.Second

// A certificate is a pair of files that may be renewed while it is in use. It is
// told by what the files hold whether they have changed: a time of change says
// too little, and nothing at all of a link.
type certificate struct {
	certFile, keyFile string
	of, setting       string // whose it is, in words, and where its files are named
	logger            *slog.Logger

	mu       sync.Mutex
	pair     *tls.Certificate
	cert     []byte // what the files held when they were last looked at
	key      []byte
	lastLook time.Time
	lastErr  string
}

// newCertificate reads the files for the first time.
func newCertificate(files config.TLS, of, setting string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: files.CertFile, keyFile: files.KeyFile, of: of, setting: setting, logger: logger}
	c.lastLook = time.Now()
	return c, c.read()
}

// get is tls.Config.GetCertificate. What cannot be used leaves the pair as it is.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.lastLook) >= certificateCheck {
		c.lastLook = now
		c.again()
	}
	return c.pair, nil
}

// again reads the files once more and tells what came of it, a fault once.
func (c *certificate) again() {
	before := c.pair
	err := c.read()
	switch {
	case err != nil && err.Error() != c.lastErr:
		c.lastErr = err.Error()
		c.logger.LogAttrs(context.Background(), slog.LevelError, "the new certificate of "+c.of+" cannot be used; the old one stays",
			slog.Any("error", err), slog.Time("old_one_ends", before.Leaf.NotAfter), slog.String("hint", "Put a certificate and its key into the files of "+c.setting+"; they are read again by themselves."))
	case err == nil:
		c.lastErr = ""
		if c.pair != before {
			c.logger.LogAttrs(context.Background(), slog.LevelInfo, c.of+" has a new certificate", slog.Time("ends", c.pair.Leaf.NotAfter))
		}
	}
}

// read takes over what the files hold, if it is new.
func (c *certificate) read() error {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if c.pair != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("read pair: %w", err)
	}
	c.pair, c.cert, c.key = &pair, cert, key
	return nil
}

// notAfter is when the certificate in use ends.
func (c *certificate) notAfter() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair.Leaf.NotAfter
}
