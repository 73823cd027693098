package emulator

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Log writes one line for each request that next answers: the operation as
// message, then what the handler said with Note, the status and the duration. It
// never writes a header or a body. A nil logger writes nothing.
func Log(logger *slog.Logger, op func(*http.Request) string, next http.Handler) http.Handler {
	if logger == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		name := op(r)
		n := new(notes)
		ctx := context.WithValue(r.Context(), notesKey{}, n)
		sw := &statusWriter{ResponseWriter: w}
		dropped := true
		defer func() {
			attrs := append(n.take(), sw.attr(dropped),
				slog.Duration("duration", time.Since(began).Round(10*time.Microsecond)))
			logger.LogAttrs(ctx, slog.LevelInfo, name, attrs...)
		}()
		next.ServeHTTP(sw, r.WithContext(ctx))
		dropped = false
	})
}

// Note adds parameters to the line that Log writes for the request with this
// context; without such a line it does nothing. What it is given must be fit to
// be read by anyone: names and counts, never secrets or bodies.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.attrs = append(n.attrs, attrs...)
	}
}

type notesKey struct{}

type notes struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

func (n *notes) take() []slog.Attr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attrs
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) attr(dropped bool) slog.Attr {
	switch {
	case dropped && w.status == 0:
		return slog.String("status", "dropped")
	case dropped:
		return slog.String("status", "dropped halfway")
	case w.status == 0:
		return slog.Int("status", http.StatusOK)
	default:
		return slog.Int("status", w.status)
	}
}
