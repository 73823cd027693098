package store

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
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

// FuzzHolder holds that a lock file which anybody has written names a process or
// another one, in a text of bounded length.
func FuzzHolder(f *testing.F) {
	f.Add([]byte("\n{\"pid\":7,\"host\":\"a\",\"since\":\"2026-11-23T09:00:00Z\",\"command\":\"gapless\"}\n"))
	f.Add([]byte{})
	f.Add([]byte("\n{\"pid\":-1e9,\"host\":7}"))
	f.Add([]byte("\n{\"pid\":1,\"host\":\"\\u001b[2J\\n\"}"))
	path := filepath.Join(f.TempDir(), lockName)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if s := readHolder(path).String(); s == "" || len(s) > 8<<10 {
			t.Errorf("%d bytes of %q", len(s), content)
		}
	})
}
