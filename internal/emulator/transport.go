package emulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Transport returns a round tripper that lets h answer in memory: no socket, no
// goroutine that outlives its request by more than what h does with it, and so
// fit for a testing/synctest bubble.
//
// It behaves like a connection to a server: the request's context reaches the
// handler, a client whose context ends gets its error at once, and a handler
// that panics with http.ErrAbortHandler makes a dropped connection, which is
// io.ErrUnexpectedEOF, from RoundTrip if nothing was sent and otherwise from the
// body, behind the bytes that were. The body arrives when the handler is done.
func Transport(h http.Handler) http.RoundTripper {
	return transport{handler: h}
}

type transport struct {
	handler http.Handler
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, done := context.WithCancel(req.Context())
	served, err := serverRequest(ctx, req)
	if err != nil {
		done()
		return nil, err
	}
	rec := newRecorder()
	finished := make(chan bool, 1)
	go func() {
		defer done()
		finished <- serve(t.handler, rec, served)
	}()
	select {
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	case complete := <-finished:
		// A client that has left hears nothing, even if the handler was quick.
		if err := req.Context().Err(); err != nil {
			return nil, context.Cause(req.Context())
		}
		return rec.response(req, complete)
	}
}

// serverRequest returns the request as a server would see it. The body is read
// beforehand, because the caller owns it again once RoundTrip has returned.
func serverRequest(ctx context.Context, req *http.Request) (*http.Request, error) {
	served := req.Clone(ctx)
	served.Body = http.NoBody
	served.RequestURI = req.URL.RequestURI()
	served.RemoteAddr = "127.0.0.1:0"
	if served.Host == "" {
		served.Host = req.URL.Host
	}
	if req.Body == nil {
		return served, nil
	}
	body, err := io.ReadAll(req.Body)
	if closeErr := req.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	served.Body = io.NopCloser(bytes.NewReader(body))
	served.ContentLength = int64(len(body))
	return served, nil
}

// serve runs the handler and reports whether it came to its end, rather than
// dropping the connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (complete bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it by identity too
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return true
}

// recorder is a ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder {
	return &recorder{header: make(http.Header)}
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.sent = r.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// Flush implements http.Flusher; what was written counts as sent anyway.
func (r *recorder) Flush() { r.WriteHeader(http.StatusOK) }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// response turns what was recorded into what a client sees.
func (r *recorder) response(req *http.Request, complete bool) (*http.Response, error) {
	if !complete && r.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if complete {
		r.WriteHeader(http.StatusOK)
	}
	resp := &http.Response{
		Status:     fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)),
		StatusCode: r.status,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     r.sent,
		Request:    req,
	}
	var body io.Reader = &r.body
	resp.ContentLength = int64(r.body.Len())
	if !complete {
		resp.ContentLength = announced(r.sent)
		body = io.MultiReader(&r.body, broken{})
	}
	if req.Method == http.MethodHead {
		body = http.NoBody
	}
	resp.Body = io.NopCloser(body)
	return resp, nil
}

// announced returns the length that the answer's header promises, or -1.
func announced(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// broken is a connection that ended before its time.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
