package store

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// FuzzMark holds that the numbers of a mark are read as they were written, and
// that what nobody wrote is refused or at least in order.
func FuzzMark(f *testing.F) {
	f.Add(packSeqs([]int64{1, 2, 3, 1000, math.MaxInt64}))
	f.Add([]byte{})
	f.Add([]byte{0x80})
	f.Add(binary.AppendUvarint([]byte{1, 1}, math.MaxUint64))
	f.Add([]byte{5, 0, 0})
	f.Fuzz(func(t *testing.T, packed []byte) {
		seqs, err := unpackSeqs(packed)
		if err != nil {
			return
		}
		for i, s := range seqs {
			if s < 1 || i > 0 && s <= seqs[i-1] {
				t.Fatalf("numbers out of order: %v of %x", seqs, packed)
			}
		}
		again, err := unpackSeqs(packSeqs(seqs))
		if err != nil || !slices.Equal(again, seqs) {
			t.Errorf("%v, written and read again, are %v (%v)", seqs, again, err)
		}
	})
}
