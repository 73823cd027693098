package verify

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/sorter"
)

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
		if err := g.add(b); err != nil && !errors.Is(err, sorter.ErrRun) {
			t.Error(err)
		}
	})
}
