package tenant

import (
	"strconv"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// The form of a log_id: "900", the UTC time with microseconds, fourteen zeros and
// a counter of nineteen digits that starts about here.
const (
	idDigits     = 56
	idCounterAt  = 37
	idPrefix     = "900"
	idTimeLayout = "20060102150405.000000"
	firstCounter = 1223372036854775808
)

// mint makes log_ids that ascend strictly, even where time stands still or goes
// back.
type mint struct {
	last    time.Time
	counter uint64
}

func newMint() *mint { return &mint{counter: firstCounter} }

// next returns an id for an event stored at t, or at the time of the id before
// if that is later, and the time that it carries.
func (m *mint) next(t time.Time) (string, time.Time) {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Before(m.last) {
		t = m.last
	}
	m.last = t
	m.counter++
	var b [idDigits]byte
	buf := append(b[:0], idPrefix...)
	buf = appendIDTime(buf, t)
	buf = append(buf, "00000000000000"...)
	buf = strconv.AppendUint(buf, m.counter, 10)
	return string(buf), t
}

// appendIDTime appends the time as twenty digits.
func appendIDTime(buf []byte, t time.Time) []byte {
	from := len(buf)
	buf = t.AppendFormat(buf, idTimeLayout)
	dot := from + len("20060102150405")
	copy(buf[dot:], buf[dot+1:])
	return buf[:len(buf)-1]
}

// seen moves the mint past an id that something else has made.
func (m *mint) seen(id string) {
	t, ok := event.TimeInID(id)
	if !ok {
		return
	}
	if t.After(m.last) {
		m.last = t
	}
	n, err := strconv.ParseUint(id[idCounterAt:], 10, 64)
	if err == nil && n > m.counter && n < 2*firstCounter {
		m.counter = n
	}
}
