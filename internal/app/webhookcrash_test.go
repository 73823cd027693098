package app_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A load pushes events to a webhook from many clients at once, each batch again
// until it was answered 2xx, as Auth0 does.
type load struct {
	url     string
	door    *door // for its token
	batches chan [][]byte
	senders sync.WaitGroup

	mu    sync.Mutex
	taken map[string]bool // messages of batches that were answered 2xx
	more  chan struct{}   // gets a token with each answer
}

// push starts the senders. They end with the batches, or with ctx.
func (l *load) push(ctx context.Context, raw [][]byte, size, atOnce int) {
	for range atOnce {
		l.senders.Go(func() {
			client := &http.Client{Transport: new(http.Transport)}
			defer client.CloseIdleConnections()
			for b := range l.batches {
				for !l.send(ctx, client, b) && ctx.Err() == nil {
					select { // nobody is listening
					case <-time.After(10 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			}
		})
	}
	l.senders.Go(func() {
		defer close(l.batches)
		for len(raw) > 0 {
			n := min(size, len(raw))
			select {
			case l.batches <- raw[:n]:
			case <-ctx.Done():
				return
			}
			raw = raw[n:]
		}
	})
}

// send pushes a batch once and reports whether it was taken.
func (l *load) send(ctx context.Context, client *http.Client, batch [][]byte) bool {
	code, err := l.door.push(ctx, client, l.url, "dev", wrapped(batch...))
	if err != nil || code != http.StatusOK {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, raw := range batch {
		l.taken[string(raw)] = true
	}
	select {
	case l.more <- struct{}{}:
	default:
	}
	return true
}

// count returns how many events were taken.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}

// TestWebhookSurvivesSIGKILL kills a real process again and again while it is
// pushed to: each event that was answered 2xx arrives, and arrives once.
func TestWebhookSurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	const events, kills = 2400, 5
	ten, err := tenant.New(tenant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ten.Close() }()
	if err := ten.Generate(events, time.Now().Add(-time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	cw, err := cloudwatch.New(cloudwatch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cw.Close() }()
	spec := childSpec{Dir: t.TempDir(), InFlight: 4, LogStream: "logs", Webhook: freeAddress(t), Token: "token-of-a-test-and-no-other"}
	l := &load{url: "http://" + spec.Webhook, door: &door{token: spec.Token}, batches: make(chan [][]byte), taken: make(map[string]bool), more: make(chan struct{}, 1)}
	l.push(t.Context(), ten.Events(), 4, 6)
	for round := range kills {
		l.killAfter(t, spec, cw, (round+1)*events/(kills+1)-rand.IntN(events/(2*kills)))
		stored := make(map[string]int)
		for _, e := range cw.Events("/auth0/dev", "logs") {
			if stored[e.Message]++; stored[e.Message] > 1 {
				t.Fatalf("round %d: an event is there %d times: %s", round, stored[e.Message], gjson.Get(e.Message, "log_id"))
			}
		}
	}
	l.finish(t, spec, cw, events)
}

// killAfter runs a child and kills it once so many events were taken. The
// services of each child are its own: once they are closed nothing of it is
// under way.
func (l *load) killAfter(t *testing.T, spec childSpec, cw *cloudwatch.Server, n int) {
	t.Helper()
	aws := httptest.NewServer(cw)
	defer aws.Close()
	spec.AWS = aws.URL
	kill, ended := spec.spawn(t)
	defer kill()
	for l.count() < n {
		select {
		case <-l.more:
		case err := <-ended:
			t.Fatalf("the child ended by itself: %v", err)
		case <-time.After(time.Minute):
			t.Fatalf("only %d events were taken", l.count())
		}
	}
}

// finish lets an App take and deliver what is left, and compares.
func (l *load) finish(t *testing.T, spec childSpec, cw *cloudwatch.Server, events int) {
	t.Helper()
	aws := httptest.NewServer(cw)
	defer aws.Close()
	spec.AWS = aws.URL
	a, err := spec.open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.senders.Wait()
	if err := a.Stop(t.Context()); err != nil { // which delivers what is stored
		t.Error(err)
	}
	got := make(map[string]int)
	for _, e := range cw.Events("/auth0/dev", "logs") {
		got[e.Message]++
	}
	if len(l.taken) != events || len(got) != events {
		t.Errorf("%d events were taken and %d arrived, want %d", len(l.taken), len(got), events)
	}
	for message := range l.taken {
		if got[message] != 1 {
			t.Errorf("an event that was answered 2xx is there %d times: %s", got[message], gjson.Get(message, "log_id"))
		}
	}
}

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
