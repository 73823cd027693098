package verify

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
		s := newSorter(dir, rapid.SampledFrom([]int{1, 60, 500, 1 << 20}).Draw(rt, "memory"))
		for _, r := range list {
			if err := s.add(r.Key, []byte(r.Value)); err != nil {
				rt.Fatal(err)
			}
		}
		var got []record
		err := s.each(func(key, value []byte) error {
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
		s := newSorter(t.TempDir(), 100)
		for _, key := range []string{"a", "b", "c", "d"} {
			if err := s.add(key, []byte(strings.Repeat("value", 10))); err != nil {
				t.Fatal(err)
			}
		}
		if err := damage(s.runs[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.each(func([]byte, []byte) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	own := errors.New("enough")
	s := newSorter(t.TempDir(), 1)
	for _, key := range []string{"a", "b"} {
		if err := s.add(key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.each(func([]byte, []byte) error { return own }); !errors.Is(err, own) {
		t.Errorf("the caller's error: %v", err)
	}
}

// TestLaxDigest compares messages that are the same event and that are not.
func TestLaxDigest(t *testing.T) {
	t.Parallel()
	const pulled = `{"date":"d","log_id":"1","_id":"1","isMobile":false,"user_agent":"Firefox 125.0.0","n":1.0,"details":{"b":[1,"\u00fc"],"a":{}}}`
	for _, c := range []struct {
		name, message string
		copies        []string
		same          bool
	}{
		{"itself", pulled, nil, true},
		{"pushed", `{"log_id":"1","n":1.0,"date":"d","details":{"a":{},"b":[1,"ü"]},"user_agent":"Mozilla/5.0"}`, nil, true},
		{"in an envelope that names it", `{"log_id":"1","data":{"n":1.0,"date":"d","details":{"a":{},"b":[1,"ü"]}}}`, nil, true},
		{"with a copy", `{"agent":"x","n":1.0,"date":"d","details":{"a":{},"b":[1,"ü"]}}`, []string{"agent"}, true},
		{"with a member more", `{"agent":"x","n":1.0,"date":"d","details":{"a":{},"b":[1,"ü"]}}`, nil, false},
		{"another number", strings.Replace(pulled, "1.0", "1.1", 1), nil, false},
		{"another order in a list", strings.Replace(pulled, `[1,"\u00fc"]`, `["\u00fc",1]`, 1), nil, false},
		{"deep inside", strings.Replace(pulled, `"a":{}`, `"a":{"c":1}`, 1), nil, false},
		{"no JSON", pulled + "x", nil, false},
		{"nothing", "", nil, false},
	} {
		if got := laxDigest([]byte(c.message), c.copies) == laxDigest([]byte(pulled), nil); got != c.same {
			t.Errorf("%s: the same: %t, want %t", c.name, got, c.same)
		}
	}
	trimmed := `{"date":"d","details":{"x":"aaa…"},"gapless":{"trimmed":{"bytes":9,"paths":["details.x"]}}}`
	if laxDigest([]byte(trimmed), nil) != laxDigest([]byte(strings.ReplaceAll(trimmed, "aaa", "bbb")), nil) {
		t.Error("the place of a cut matters")
	}
}

// FuzzRecord reads records that nobody has written.
func FuzzRecord(f *testing.F) {
	var p packer
	h := held{date: 5, dated: true, leftOut: "x", fate: InGap, group: "g", stream: "s", exact: make([]digest, 2), lax: make([]digest, 2)}
	h.pack(&p)
	f.Add(slices.Clone(p.b))
	(&found{copied: Copy{LogGroup: "g"}, shared: true}).pack(&p)
	f.Add(slices.Clone(p.b))
	f.Add([]byte{recordLetter, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		var g group
		if err := g.add(b); err != nil && !errors.Is(err, errRun) {
			t.Error(err)
		}
	})
}
