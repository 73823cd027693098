package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds on the streams that keep open pages current.
const (
	// liveEvery is how often a page is drawn anew, and beatEvery how often the stream
	// says that it is alive when nothing has changed.
	liveEvery = time.Second
	beatEvery = 10 * time.Second
	// maxStreams bounds the streams at a time. Pages beyond them poll.
	maxStreams = 48
	// maxStream is how long a stream lasts. The browser opens another one then, so that
	// a session that has ended meanwhile sees no more.
	maxStream = 10 * time.Minute
	// writeTimeout bounds one write to a client that does not read.
	writeTimeout = 10 * time.Second
)

// fragmentHeader asks for a part of a page alone: the template "live".
const fragmentHeader = "X-Gapless-Fragment"

// live streams a page to a browser that has it open: the part "live" of the page that
// the parameter page names, drawn every second and sent when it has changed. Events:
// "live" with the HTML, "beat" with nothing when nothing has changed for a while, and
// "trouble" when the page cannot be drawn.
func (h *handler) live(w http.ResponseWriter, r *http.Request) {
	page, err := url.Parse(r.URL.Query().Get("page"))
	if err != nil || page.IsAbs() || page.Host != "" || !strings.HasPrefix(page.Path, "/") {
		h.fail(w, r, http.StatusBadRequest, "error.page")
		return
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		h.fail(w, r, http.StatusServiceUnavailable, "error.streams")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxStream)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that gathers answers would hold it back
	s := &stream{w: w, control: http.NewResponseController(w)}
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.logger.LogAttrs(ctx, slog.LevelDebug, "cannot lift the deadline of a stream", slog.Any("error", err))
	}
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for s.send(h.draw(ctx, r, page)) {
		select {
		case <-ctx.Done():
			return
		case <-h.ended:
			return
		case <-tick.C:
		}
	}
}

// draw draws the part "live" of a page, as the pages themselves do. An empty answer
// says that it cannot be drawn.
func (h *handler) draw(ctx context.Context, r *http.Request, page *url.URL) []byte {
	asked := r.Clone(ctx)
	asked.URL, asked.RequestURI, asked.Method = page, page.RequestURI(), http.MethodGet
	asked.Header.Set(fragmentHeader, "live")
	var out memory
	h.pages.ServeHTTP(&out, asked)
	if out.status != http.StatusOK {
		return nil
	}
	return out.body.Bytes()
}

// A memory keeps an answer.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (m *memory) Header() http.Header {
	if m.header == nil {
		m.header = make(http.Header)
	}
	return m.header
}

// WriteHeader implements http.ResponseWriter.
func (m *memory) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
}

// Write implements http.ResponseWriter.
func (m *memory) Write(b []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	return m.body.Write(b)
}

// A stream sends the events of one page.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	last    []byte
	sent    time.Time
}

// send sends what has changed, and reports whether the client still reads.
func (s *stream) send(body []byte) bool {
	var b bytes.Buffer
	switch {
	case body == nil:
		b.WriteString("event: trouble\ndata:\n\n")
		s.last = nil
	case !bytes.Equal(body, s.last):
		b.WriteString("event: live\n")
		for line := range bytes.SplitSeq(body, []byte("\n")) {
			b.WriteString("data: ")
			b.Write(bytes.TrimSuffix(line, []byte("\r")))
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
		s.last = body
	case time.Since(s.sent) < beatEvery:
		return true
	default:
		b.WriteString("event: beat\ndata:\n\n")
	}
	s.sent = time.Now()
	if err := s.control.SetWriteDeadline(s.sent.Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// A snapshot reads the figures at most once in a while for all who ask, however many
// pages are open.
type snapshot struct {
	read Status

	mu   sync.Mutex
	at   time.Time
	last Overview
}

// fresh is how old the figures of a page may be.
const fresh = 400 * time.Millisecond

// get returns figures that are fresh. Who asks while they are read waits for them.
func (s *snapshot) get(ctx context.Context) (Overview, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < fresh {
		return s.last, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	o, err := s.read(ctx)
	if err != nil {
		return Overview{}, err
	}
	s.last, s.at = o, time.Now()
	return o, nil
}
