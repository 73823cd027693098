package app

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// pipes is a listener whose connections are always there.
type pipes struct{ closed bool }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}

// Close implements net.Listener.
func (p *pipes) Close() error { p.closed = true; return nil }

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestConnectionsAreLimited holds back a connection until another one ends, and
// lets nobody wait behind the end of the listener.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		below := new(pipes)
		l := limited(below, 2)
		accepted := make(chan net.Conn)
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				accepted <- c
			}
		}()
		first, second := <-accepted, <-accepted
		synctest.Wait()
		select {
		case <-accepted:
			t.Fatal("a third connection was accepted")
		default:
		}
		for range 2 { // closing twice frees one place
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
		}
		third := <-accepted
		synctest.Wait()
		select {
		case <-accepted:
			t.Fatal("a place was given twice")
		default:
		}
		if err := l.Close(); err != nil || !below.closed {
			t.Errorf("close: %v, the listener below: %t", err, below.closed)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		if err := errors.Join(second.Close(), third.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
}
