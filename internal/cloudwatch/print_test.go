package cloudwatch_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// withoutPrints checks that a receipt has a print of each event that was delivered, and
// of no other, and returns the rest of it.
func withoutPrints(t *testing.T, events int, r pipeline.Receipt) pipeline.Receipt {
	t.Helper()
	left := make(map[int]bool)
	for _, x := range slices.Concat(r.Rejected, r.Skipped) {
		left[x.Index] = true
	}
	for _, i := range r.Retry {
		left[i] = true
	}
	same(t, "prints", events, len(r.Prints))
	for i, p := range r.Prints {
		if p.IsZero() != left[i] {
			t.Errorf("event %d was left: %t, and its print is %+v", i, left[i], p)
		}
	}
	r.Prints = nil
	return r
}

// wantPrints checks that the prints of receipts are those of what is stored.
func wantPrints(t *testing.T, c *cloud, receipts ...pipeline.Receipt) {
	t.Helper()
	var got, want []pipeline.Print
	for _, r := range receipts {
		for _, p := range r.Prints {
			if !p.IsZero() {
				got = append(got, p)
			}
		}
	}
	for _, m := range c.stored() {
		want = append(want, pipeline.Print{At: m.Time.UnixMilli(), Hash: sha256.Sum256([]byte(m.Message))})
	}
	for _, list := range [][]pipeline.Print{got, want} {
		slices.SortFunc(list, func(a, b pipeline.Print) int {
			return cmp.Or(cmp.Compare(a.At, b.At), slices.Compare(a.Hash[:], b.Hash[:]))
		})
	}
	same(t, "prints", fmt.Sprintf("%x", want), fmt.Sprintf("%x", got))
}

// TestPrintsAreOfWhatIsStored has events that are shaped, trimmed, re-stamped, rejected
// and halved out of a batch.
func TestPrintsAreOfWhatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready()
		c.poison = "event-poison"
		s, _ := open(t, c, config(func(c *cloudwatch.Config) { c.TooLarge, c.TooOld = cloudwatch.Trim, cloudwatch.Restamp }))
		b := batch(ev("old", time.Now().Add(-30*24*time.Hour)), ev("event-1", time.Now()), ev("event-poison", time.Now()),
			heavy("large", cloudwatch.MaxMessageBytes+1), ev("event-2", time.Now()))
		r, err := shaped(t, s, stage).Deliver(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "rejected", 1, len(r.Rejected))
		same(t, "stored", 4, len(c.stored()))
		wantPrints(t, c, r)
	})
}

// TestPrintsOfWhatIsFound has a batch in doubt of which a part is there, in a form that
// the rules of today do not make: what is there counts.
func TestPrintsOfWhatIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready().with("PutLogEvents", 1, answer{lost: true})
		s, _ := open(t, c, config())
		b := doubtful(t, s, spread(20, time.Second))
		b.Events = append(b.Events, ev("new", time.Now()))
		b.Keys = append(b.Keys, 1000)
		r, err := shaped(t, s, stage).Deliver(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "stored", 21, len(c.stored()))
		wantPrints(t, c, r)
	})
}
