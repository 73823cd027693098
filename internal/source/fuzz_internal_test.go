package source

import (
	"testing"

	"github.com/gaplesslogs/gapless/internal/event"
)

// FuzzCursor holds that a cursor which is taken means the same when it is written
// again.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{
		"90020261123115115959500000000000000001223372036854775862", "@start", "@start 2026-11-23T09:00:00Z",
		"@since 2026-11-23T09:00:00.123456789Z 90020261123", "@since 2026-11-23T09:00:00+09:00 a b", "@", "@start ", "@since  x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			return // no cursor
		}
		p, err := readCursor(event.Cursor(text))
		if err != nil {
			return
		}
		q, err := readCursor(p.cursor())
		if err != nil || q.id != p.id || !q.since.Equal(p.since) {
			t.Errorf("%q is %+v, and written again, as %q, %+v (%v)", text, p, p.cursor(), q, err)
		}
	})
}
