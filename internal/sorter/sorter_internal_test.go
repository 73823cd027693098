package sorter

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSorter sorts any records, in memory and by any number of runs: all come in
// order, equal ones once, and no file is left.
func TestSorter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	type record struct{ Key, Value string }
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00")), 0, 3, -1)
		list := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) record { return record{text.Draw(rt, "key"), text.Draw(rt, "value")} }), 0, 200).Draw(rt, "records")
		s := New(dir, rapid.SampledFrom([]int{1, 60, 500, 1 << 20}).Draw(rt, "memory"))
		for _, r := range list {
			if err := s.Add(r.Key, []byte(r.Value)); err != nil {
				rt.Fatal(err)
			}
		}
		var got []record
		err := s.Each(func(key, value []byte) error {
			got = append(got, record{string(key), string(value)})
			return nil
		})
		slices.SortFunc(list, func(a, b record) int { return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value)) })
		want := slices.Compact(list)
		if diff := gocmp.Diff(append([]record{}, want...), append([]record{}, got...)); diff != "" || err != nil {
			rt.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			rt.Errorf("files are left: %v, %v", left, err)
		}
	})
}

// TestSorterTellsOfDamage reads runs that somebody has cut, or taken away.
func TestSorterTellsOfDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 20) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"removed": os.Remove,
	} {
		s := New(t.TempDir(), 100)
		for _, key := range []string{"a", "b", "c", "d"} {
			if err := s.Add(key, []byte(strings.Repeat("value", 10))); err != nil {
				t.Fatal(err)
			}
		}
		if err := damage(s.runs[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.Each(func([]byte, []byte) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	own := errors.New("enough")
	s := New(t.TempDir(), 1)
	for _, key := range []string{"a", "b"} {
		if err := s.Add(key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Each(func([]byte, []byte) error { return own }); !errors.Is(err, own) {
		t.Errorf("the caller's error: %v", err)
	}
}
