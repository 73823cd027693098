package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long a question may take by default: the figures behind the
// answer are read within 5 s, and health checks of containers give less than 10 s.
const healthTimeout = 6 * time.Second

// healthBytes is how much of an answer is shown: lines of a few hundred bytes, one
// for each tenant in trouble.
const healthBytes = 64 << 10

// errNotHealthy says that the process answers, and that its answer is no.
var errNotHealthy = errors.New("not healthy")

// errOtherCertificate says that something else listens there.
var errOtherCertificate = errors.New("what answers has another certificate than dashboard.tls names")

// newHealthCommand makes "gapless health".
func newHealthCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "health",
		GroupID: groupExport,
		Short:   "Ask the gapless that runs here whether it works",
		Long: `Asks the process that runs with the same configuration, at the address of listen,
for /healthz, and tells the answer by the exit code: 0 when it works, 1 when it does
not answer or cannot read its store. It is there for health checks inside an image
that holds nothing but gapless.

With --ready it asks for /readyz, and the exit code is 5 while a tenant is in trouble
or its events are at risk. A restart does not mend that.`,
		Example: "  gapless health --config gapless.yaml\n  gapless health --ready --listen 127.0.0.1:8080",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	ready := cmd.Flags().Bool("ready", false, "ask whether every tenant is exported too")
	timeout := cmd.Flags().Duration("timeout", healthTimeout, "give up after this long")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *timeout <= 0 {
			return usageError(cmd, "--timeout is %v: it must be more than 0s", *timeout)
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		url, err := healthURL(cfg.Listen, cfg.Dashboard.TLS.CertFile != "", *ready)
		if err != nil {
			return fail(exitConfig, "gapless run"+flags.repeated(cmd)+" --listen 127.0.0.1:8080", err)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		secure, err := pinned(cfg.Dashboard.TLS.CertFile)
		if err != nil {
			return fail(exitConfig, "gapless doctor"+flags.repeated(cmd), err)
		}
		return askHealth(ctx, env.Stdout, url, secure, flags.repeated(cmd))
	}
	return cmd
}

// healthURL is where the process that listens on an address is asked.
func healthURL(listen string, secure, ready bool) (string, error) {
	if listen == "" {
		return "", errors.New("listen is empty: there is nobody to ask")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("read listen: %w", err)
	}
	if port == "0" {
		return "", fmt.Errorf("listen is %s: nobody knows which port the process has got", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port) + path, nil
}

// pinned trusts the certificate of a file and no other, whatever name it is for: the
// process that is asked has it, and is asked on this machine. nil without a file.
func pinned(certFile string) (*tls.Config, error) {
	if certFile == "" {
		return nil, nil //nolint:nilnil // http
	}
	text, err := os.ReadFile(certFile) //nolint:gosec // the operator's own setting
	if err != nil {
		return nil, fmt.Errorf("read dashboard.tls: %w", err)
	}
	block, rest := pem.Decode(text)
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, fmt.Errorf("read dashboard.tls: %s holds no certificate", certFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // VerifyConnection compares the certificate itself
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, block.Bytes) {
				return errOtherCertificate
			}
			return nil
		},
	}, nil
}

// askHealth prints the answer, of which anything but 200 is an error.
func askHealth(ctx context.Context, w io.Writer, url string, secure *tls.Config, flags string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: secure} // without a proxy: it is this machine
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fail(exitFailure, "gapless status"+flags, fmt.Errorf("ask %s: %w", url, err))
	}
	defer resp.Body.Close() //nolint:errcheck // it has only been read
	body, err := io.ReadAll(io.LimitReader(resp.Body, healthBytes))
	if err != nil {
		return fail(exitFailure, "gapless status"+flags, fmt.Errorf("read the answer of %s: %w", url, err))
	}
	text := strings.TrimSpace(string(body))
	switch resp.StatusCode {
	case http.StatusOK:
		fmt.Fprintln(w, plainLines(text))
		return nil
	case http.StatusServiceUnavailable:
		return fail(exitNotClean, "gapless status"+flags, fmt.Errorf("%w: %s", errNotHealthy, cmp.Or(text, resp.Status)))
	default:
		return fail(exitFailure, "gapless status"+flags, fmt.Errorf("%w: %s: %s", errNotHealthy, resp.Status, text))
	}
}
