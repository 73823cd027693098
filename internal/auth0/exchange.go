package auth0

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Bounds on what is read of an answer, in bytes after decompression. A page of
// 100 events is some 100 kB; the bound keeps a broken server from filling the
// memory.
const (
	maxBody      = 64 << 20
	maxErrorBody = 64 << 10
)

// reply is an answer, read to its end.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	received time.Time // when its header came
}

// errTimeout is the cause with which a request's own timeout ends its context.
var errTimeout = errors.New("the request's timeout is over")

// exchange sends a request and reads the answer, within the request timeout. The
// error is an *Error, or the cause of ctx when ctx has ended.
func (c *Client) exchange(ctx context.Context, op operation, req *http.Request) (reply, error) {
	timed, cancel := context.WithTimeoutCause(ctx, c.cfg.RequestTimeout, errTimeout)
	defer cancel()
	req = req.WithContext(timed)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	r, err := c.send(req)
	c.metrics.called(op.name, r.status)
	if err == nil {
		op.limiter.note(r.header, r.received)
		return r, nil
	}
	if ctx.Err() != nil {
		return reply{}, context.Cause(ctx)
	}
	e := &Error{Op: op.tries, Status: r.status, Kind: Transient, Hint: c.hintNetwork(err), Err: c.unquoted(err, req)}
	if errors.Is(context.Cause(timed), errTimeout) {
		e.Err = fmt.Errorf("no whole answer within %s: %w", c.cfg.RequestTimeout, context.DeadlineExceeded)
	}
	c.metrics.failed(e.Kind)
	return reply{}, e
}

// send does the exchange itself. After an error the reply holds the status, if
// there was one.
func (c *Client) send(req *http.Request) (r reply, err error) {
	resp, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address, which the operation tells already
		}
		return reply{}, err
	}
	defer func() {
		if closeErr := resp.Body.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("read answer: %w", closeErr)
		}
	}()
	r = reply{status: resp.StatusCode, header: resp.Header, received: time.Now()}
	if r.status < 200 || r.status > 299 {
		// What an error says is good to know, and not needed to act on it.
		r.body, _ = readBody(resp, maxErrorBody)
		return r, nil
	}
	if resp.ContentLength > maxBody {
		return r, ErrTooLarge // it says so itself
	}
	r.body, err = readBody(resp, maxBody)
	return r, err
}

// readBody reads and decompresses a body up to a limit.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	var body io.Reader = resp.Body
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") && !resp.Uncompressed {
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("decompress answer: %w", err)
		}
		body = z
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return b, fmt.Errorf("read answer: %w", err)
	case int64(len(b)) > limit:
		return b[:limit], ErrTooLarge
	default:
		return b, nil
	}
}
