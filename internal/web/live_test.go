package web_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/web"
	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// A tap is the answer of a stream, which can be read while it is written.
type tap struct {
	mu   sync.Mutex
	head http.Header
	code int
	text strings.Builder
	sick error // of writes
}

func (p *tap) Header() http.Header {
	if p.head == nil {
		p.head = make(http.Header)
	}
	return p.head
}

func (p *tap) WriteHeader(code int) { p.code = code }
func (p *tap) Flush()               {}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sick != nil {
		return 0, p.sick
	}
	return p.text.Write(b)
}

// take returns what was written since the last time.
func (p *tap) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.text.String()
	p.text.Reset()
	return s
}

// stream opens the stream of a page. What it returns waits for its end.
func stream(ctx context.Context, h http.Handler, page string) (*tap, func()) {
	p, done := &tap{}, make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(p, httptest.NewRequest(http.MethodGet, "/api/v1/live?page="+url.QueryEscape(page), nil).WithContext(ctx))
	}()
	return p, func() { <-done }
}

// TestStream follows a page: it is sent at once and whenever it changes, silence is
// broken now and then, a failure is told, and the stream ends with its client.
func TestStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := webtest.New(time.Now(), 10)
		h := serve(t, w, nil)
		ctx, cancel := context.WithCancel(t.Context())
		p, wait := stream(ctx, h, "/tenants/partner-portal?range=6h")
		synctest.Wait()
		first := p.take()
		if !strings.HasPrefix(first, "event: live\ndata: ") || strings.Contains(first, "<html") || !strings.Contains(first, `aria-current="true">6 h`) || !strings.HasSuffix(first, "\n\n") {
			t.Errorf("the stream begins with\n%s", first)
		}
		if kind := p.Header().Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("its type is %q", kind)
		}
		<-time.After(8500 * time.Millisecond)
		if text := p.take(); text != "" {
			t.Errorf("without news it says\n%s", text)
		}
		<-time.After(2 * time.Second)
		if text := p.take(); text != "event: beat\ndata:\n\n" {
			t.Errorf("after a while it says %q", text)
		}
		w.Change(func(o *web.Overview) { o.Tenants[2].Stored = 5_123 })
		<-time.After(2 * time.Second)
		if text := p.take(); strings.Count(text, "event:") != 1 || !strings.Contains(text, "5,123") {
			t.Errorf("the change shows as\n%s", text)
		}
		w.Change(func(*web.Overview) { w.Err = errors.New("the disk is gone") })
		<-time.After(time.Second)
		if text := p.take(); !strings.HasPrefix(text, "event: trouble\n") || strings.Contains(text, "disk") {
			t.Errorf("the failure shows as\n%s", text)
		}
		w.Change(func(*web.Overview) { w.Err = nil })
		<-time.After(2 * time.Second)
		if text := p.take(); !strings.Contains(text, "event: live") {
			t.Errorf("after the failure it says\n%s", text)
		}
		cancel()
		wait()
	})
}

// TestStreamOutlivesTheTimeouts holds that a stream goes on when the time for reading a
// request and for writing an answer, which the server has for all others, is over.
func TestStreamOutlivesTheTimeouts(t *testing.T) {
	t.Parallel()
	w := webtest.New(time.Now(), 10)
	s := httptest.NewUnstartedServer(serve(t, w, nil))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	s.Start()
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v1/live?page=/tenants/partner-portal", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for stored := int64(1_000_001); stored < 1_000_004; stored++ { // each takes a second
		w.Change(func(o *web.Overview) { o.Tenants[2].Stored = stored })
		for want := ">1,000,00" + strconv.FormatInt(stored%10, 10) + "<"; ; {
			if !lines.Scan() {
				t.Fatalf("the stream ends before %s: %v", want, lines.Err())
			}
			if strings.Contains(lines.Text(), want) {
				break
			}
		}
	}
}

// TestStreamsEnd holds that a stream ends by itself after a while, when the server
// shuts down, and when nobody reads.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(h *web.Handler, p *tap){
		"by itself": func(*web.Handler, *tap) {},
		"shut down": func(h *web.Handler, _ *tap) { h.End(); h.End() },
		"unread":    func(_ *web.Handler, p *tap) { p.mu.Lock(); defer p.mu.Unlock(); p.sick = errors.New("broken pipe") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, err := web.NewHandler(webtest.New(time.Now(), 0).Options())
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				p, wait := stream(t.Context(), h, "/")
				synctest.Wait()
				end(h, p)
				wait()
				if took := time.Since(began); (name == "by itself") != (took == 10*time.Minute) || took > 10*time.Minute {
					t.Errorf("it lasted for %v", took)
				}
			})
		})
	}
}

// TestStreamsAreBounded holds that pages beyond the bound are told to ask instead, and
// that a place is free again when a stream has ended.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, webtest.New(time.Now(), 0), nil)
		ctx, cancel := context.WithCancel(t.Context())
		var ends []func()
		refused := 0
		for range 60 {
			p, wait := stream(ctx, h, "/")
			ends = append(ends, wait)
			synctest.Wait()
			if p.code == http.StatusServiceUnavailable && p.Header().Get("Retry-After") != "" {
				refused++
			}
		}
		if refused != 12 {
			t.Errorf("%d of 60 are refused, want 12", refused)
		}
		cancel()
		for _, wait := range ends {
			wait()
		}
		ctx, cancel = context.WithCancel(t.Context())
		p, wait := stream(ctx, h, "/")
		synctest.Wait()
		cancel()
		wait()
		if p.code != 0 || !strings.Contains(p.take(), "event: live") {
			t.Errorf("afterwards a stream is answered by %d", p.code)
		}
	})
}

// TestStreamOfWhatMayNotBeSeen holds that a stream shows no more than its page, and
// pages alone.
func TestStreamOfWhatMayNotBeSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := webtest.New(time.Now(), 10)
		for page, want := range map[string]string{
			"https://example.com/": "400", "//example.com/": "400", "": "400", "api/v1/status": "400",
			"/metrics": "trouble", "/api/v1/status": "trouble", "/api/v1/live?page=/": "trouble", "/nothing": "trouble",
		} {
			watch(t, serve(t, w, nil), page, want)
		}
		watch(t, serve(t, w, func(o *web.Options) { o.Guard = identities{access.Identity{Name: "eve"}} }), "/", "trouble")
	})
}

// watch opens the stream of a page for a moment.
func watch(t *testing.T, h http.Handler, page, want string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p, wait := stream(ctx, h, page)
	synctest.Wait()
	cancel()
	wait()
	text := p.take()
	if want == "400" && p.code != http.StatusBadRequest || want == "trouble" && !strings.HasPrefix(text, "event: trouble\n") || strings.Contains(text, "event: live") {
		t.Errorf("%q: status %d, %s", page, p.code, text)
	}
}
