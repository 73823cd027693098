package verify

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// A shelf is a destination that holds messages.
type shelf struct {
	Destination

	messages []string
}

// Read implements Destination.
func (s shelf) Read(_ context.Context, _ Span, _ bool, each func(Stored) error) error {
	for _, m := range s.messages {
		if err := each(Stored{Message: []byte(m)}); err != nil {
			return err
		}
	}
	return nil
}

// TestIndex notes what two destinations hold in many files, and asks for each of it.
func TestIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := NewIndex(dir)
	x.most = 7
	id := func(i int) string { return fmt.Sprintf("900202611270822%041d", i) }
	var a shelf
	for i := range 100 {
		a.messages = append(a.messages, fmt.Sprintf(`{"log_id":%q,"type":"s","date":"2026-11-27T08:00:00.000Z"}`, id(2*i)), "no event")
	}
	b := shelf{messages: []string{`{"log_id":"` + id(1) + `","data":{"log_id":"` + id(1) + `","type":"s","date":"2026-11-27T08:00:00.000Z"}}`}}
	var read int64
	for i, d := range []Destination{a, b} {
		if err := x.Add(t.Context(), i, d, Span{Until: time.Now()}, true, func(n int64, _ Stored) { read = n }); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Finish(); err != nil {
		t.Fatal(err)
	}
	if x.Len() != 101 || read != 1 || len(x.files) < 10 {
		t.Errorf("%d events, %d read, %d files", x.Len(), read, len(x.files))
	}
	for i := range 200 {
		first, err := x.Has(0, id(i))
		second, err2 := x.Has(1, id(i))
		if first != (i%2 == 0) || second != (i == 1) || err != nil || err2 != nil {
			t.Errorf("event %d: %t, %t, %v, %v", i, first, second, err, err2)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}
