package webtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/web"
)

// Letters are dead letters in memory; a web.LetterBox. Those with CanReplay false stay
// at a replay.
type Letters struct {
	mu     sync.Mutex
	list   []web.Letter // newest first
	bodies map[int64]string
}

// NewLetters returns the dead letters of Staging: 130 events that were too large, and
// two pieces that are no events.
func NewLetters(at time.Time) *Letters {
	l := &Letters{bodies: make(map[int64]string)}
	for i := range 130 {
		id := int64(i + 1)
		kept := at.Add(-time.Duration(130-i) * 7 * time.Minute)
		body := fmt.Sprintf(`{"log_id":"9002026112700000%06d","date":%q,"type":"sapi","description":"Update a <user>","ip":"192.0.2.%d","details":{"request":{"body":%q}}}`,
			i, kept.UTC().Format(time.RFC3339Nano), 1+i%200, strings.Repeat("x", 400))
		letter := web.Letter{
			ID: id, Tenant: Staging, Kind: "rejected", Reason: "too_large", Detail: "the event is 1,214,002 bytes long; CloudWatch Logs takes 1,048,550", KeptSince: kept, Source: "poll",
			LogID: "9002026112700000" + fmt.Sprintf("%06d", i), Type: "sapi", Date: kept.Add(-2 * time.Second), LogGroup: "/auth0/acme-staging", LogStream: "logs", Bytes: 1_214_002, CanReplay: true,
		}
		if i%65 == 64 {
			body = `{"log_id": 12, "date": <html>`
			letter.Kind, letter.Reason, letter.Detail, letter.CanReplay = "unreadable", "unreadable", "it is no JSON", false
			letter.LogID, letter.Type, letter.Date, letter.Bytes = "", "", time.Time{}, int64(len(body))
		}
		l.list, l.bodies[id] = append(l.list, letter), body
	}
	slices.Reverse(l.list)
	return l
}

// matches reports whether a filter picks a letter.
func matches(f web.LetterFilter, l web.Letter) bool {
	return (len(f.IDs) == 0 || slices.Contains(f.IDs, l.ID)) && (f.Tenant == "" || f.Tenant == l.Tenant) && (f.Kind == "" || f.Kind == l.Kind) &&
		(f.Reason == "" || f.Reason == l.Reason) && (f.Before == 0 || l.ID < f.Before)
}

// List implements web.LetterBox.
func (l *Letters) List(_ context.Context, f web.LetterFilter, limit int) (list []web.Letter, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.list {
		if matches(f, x) && len(list) < limit {
			list = append(list, x)
		}
	}
	return list, nil
}

// Show implements web.LetterBox.
func (l *Letters) Show(_ context.Context, id int64) (web.Letter, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.list {
		if x.ID == id {
			return x, []byte(l.bodies[id]), nil
		}
	}
	return web.Letter{}, nil, fmt.Errorf("read dead letter %d: %w", id, web.ErrNotFound)
}

// Replay implements web.LetterBox.
func (l *Letters) Replay(_ context.Context, f web.LetterFilter) (web.LettersMoved, error) {
	return l.move(f, func(x web.Letter) bool { return x.CanReplay }, "it is no event"), nil
}

// Drop implements web.LetterBox.
func (l *Letters) Drop(_ context.Context, f web.LetterFilter) (web.LettersMoved, error) {
	return l.move(f, func(web.Letter) bool { return true }, ""), nil
}

// move takes the letters out that a filter picks and that may go.
func (l *Letters) move(f web.LetterFilter, may func(web.Letter) bool, why string) (done web.LettersMoved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(x web.Letter) bool {
		switch {
		case !matches(f, x):
			return false
		case !may(x):
			done.Left++
			return false
		}
		done.Moved++
		delete(l.bodies, x.ID)
		return true
	})
	if done.Left > 0 {
		done.Why = strconv.FormatInt(done.Left, 10) + ": " + why
	}
	return done
}
