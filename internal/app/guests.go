package app

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// guests is a listener that strangers can reach. It holds at most so many
// connections open; when one more comes, the one that has gone longest without a
// request makes room for it. So a crowd that connects and says nothing, or not
// enough, keeps nobody out who has something to say.
type guests struct {
	net.Listener

	most int

	mu   sync.Mutex
	idle list.List // of *guest, the one that has waited longest in front
	busy int
	shut bool
}

// receive makes guests of the connections of a listener.
func receive(l net.Listener, most int) *guests {
	return &guests{Listener: l, most: most}
}

// A guest is one connection.
type guest struct {
	net.Conn

	of   *guests
	at   *list.Element // nil while a request of it is being answered, or it is gone
	gone bool
}

// Accept implements net.Listener.
func (g *guests) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // http.Server looks at what the listener says
		}
		if one := g.add(c); one != nil {
			return one, nil
		}
		_ = c.Close() // all are busy
	}
}

// add lets a connection in, and one out when there are too many.
func (g *guests) add(c net.Conn) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut || g.busy >= g.most {
		return nil
	}
	if g.busy+g.idle.Len() >= g.most {
		g.leave(g.idle.Front())
	}
	one := &guest{Conn: c, of: g}
	one.at = g.idle.PushBack(one)
	return one
}

// leave closes a connection that has no request. The caller holds mu.
func (g *guests) leave(e *list.Element) {
	if c, ok := g.idle.Remove(e).(*guest); ok { // it holds nothing else
		c.gone, c.at = true, nil
		_ = c.Conn.Close() // whoever reads it is told
	}
}

// Close implements net.Conn.
func (c *guest) Close() error {
	c.of.mu.Lock()
	if !c.gone {
		c.gone = true
		if c.at != nil {
			c.of.idle.Remove(c.at)
			c.at = nil
		} else {
			c.of.busy--
		}
	}
	c.of.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // as above
}

// dismiss closes the connections that have no request, and lets nobody in any
// more.
func (g *guests) dismiss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for e := g.idle.Front(); e != nil; e = g.idle.Front() {
		g.leave(e)
	}
}

// guestKey is that of the guest in the context of its requests.
type guestKey struct{}

// context notes whose requests they are, for http.Server.
func (*guests) context(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // of TLS
		c = t.NetConn()
	}
	return context.WithValue(ctx, guestKey{}, c)
}

// serve marks those as busy whose requests are being answered.
func (g *guests) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(guestKey{}).(*guest); ok {
			c.begin()
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
}

// begin notes that a request has come.
func (c *guest) begin() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !c.gone {
		c.of.idle.Remove(c.at)
		c.at = nil
		c.of.busy++
	}
}

// end notes that it was answered.
func (c *guest) end() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !c.gone {
		c.of.busy--
		c.at = c.of.idle.PushBack(c)
	}
}
