// Package moto runs moto's server for tests: an emulator of AWS that is not ours
// and so an independent witness. Where it is not installed, tests that want it
// skip and say what to install.
package moto

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// install says how to get moto.
const install = "install moto: pip install 'moto[server]'"

// Start runs moto_server on a free port of loopback until the test ends, and
// returns its URL. It skips the test when that cannot be.
func Start(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("NOT RUN: moto_server is missing; " + install)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	port := freePort(ctx, t)
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port) //nolint:gosec // found in PATH, for a test
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "AWS_") })
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Skipf("NOT RUN: moto_server does not start (%v); %s", err, install)
	}
	running, read := make(chan struct{}), make(chan struct{})
	go func() { // to the end, so that moto can write on
		defer close(read)
		told := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if !told && strings.Contains(lines.Text(), "Running on") {
				told = true
				close(running)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // ended by a signal
	})
	select {
	case <-running:
	case <-read:
		t.Skip("NOT RUN: moto_server does not work here; " + install)
	}
	return "http://127.0.0.1:" + port
}

// freePort returns a port that was free a moment ago.
func freePort(ctx context.Context, t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}
