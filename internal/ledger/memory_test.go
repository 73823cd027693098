package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/ledger"
)

// A memory is a ledger.Book of one hour, in memory.
type memory struct {
	state   ledger.State
	leaves  []ledger.Leaf
	entries []ledger.Entry
}

// seal makes a pass over the leaves.
func (m *memory) seal(t *testing.T) {
	t.Helper()
	if m.entries == nil {
		m.state = ledger.State{Head: ledger.Head{Chain: "a", Seq: -1}, Began: at(2), Whole: true}
	}
	k := ledger.NewKeeper(ledger.Config{Tenant: "acme", Destination: "cloudwatch", Book: m, SealAfter: time.Hour, Dir: t.TempDir()})
	if err := k.Pass(t.Context(), at(4)); err != nil {
		t.Fatal(err)
	}
}

func (m *memory) State(context.Context) (ledger.State, error) { return m.state, nil }

func (m *memory) OpenHours(context.Context) ([]ledger.Hour, error) {
	if len(m.leaves) == 0 {
		return nil, nil
	}
	return []ledger.Hour{ledger.HourOf(m.leaves[0].At)}, nil
}

func (*memory) DeliveredUntil(context.Context, ...string) (int64, error) {
	return at(10).UnixMicro(), nil
}

func (m *memory) Leaves(_ context.Context, _ ledger.Hour, _ int64, each func(ledger.Leaf, [2]string) error) (int64, error) {
	for _, l := range m.leaves {
		if err := each(l, [2]string{"group", "stream"}); err != nil {
			return 0, err
		}
	}
	return int64(len(m.leaves)), nil
}

func (m *memory) Seal(_ context.Context, _ ledger.Head, s ledger.Sealing) error {
	m.entries = append(m.entries, s.Entries...)
	m.state.Head, m.state.SealedUntil, m.state.Whole = m.entries[len(m.entries)-1].Head(), s.SealedUntil, s.Whole
	if s.LastLeaf > 0 {
		m.leaves = nil
	}
	return nil
}

func (*memory) Last(context.Context, string) (ledger.Head, bool, error) {
	return ledger.Head{}, false, nil
}

func (*memory) Unpublished(context.Context, string, int) ([]ledger.Outgoing, int64, error) {
	return nil, 0, nil
}

func (*memory) Published(context.Context, string, int64) error { return nil }
