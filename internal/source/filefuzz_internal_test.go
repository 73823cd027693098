package source

import (
	"testing"

	"github.com/gaplesslogs/gapless/internal/event"
)

// FuzzReadFilePlace reads cursors of any text: what is read is a place that a Files
// can begin at, and its own cursor says the same.
func FuzzReadFilePlace(f *testing.F) {
	for _, p := range []filePlace{
		{},
		{Done: 1, Sum: "x", File: "y", Place: event.Place{Offset: 7, Line: 2, List: true, Object: true}},
		{Done: 3, File: "a", Place: event.Place{Line: 1}},
	} {
		f.Add(string(p.cursor()))
	}
	for _, text := range []string{"", "{}", "90020201", `{"done":-1,"file":"a"}`, `{"done":9,"file":"a","offset":-5,"line":0}`, `{"file":"a","offset":1,"object":true}`} {
		f.Add(text)
	}
	files := &Files{
		inputs: []input{{identity: "a", size: 5}, {identity: "b", size: 7}},
		sums:   []string{"", nextSum("", input{identity: "a"}), "x"}, sizes: []int64{0, 5, 12},
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := readFilePlace(event.Cursor(text))
		if p.Done < 0 || p.Offset < 0 || p.File != "" && p.Line < 1 || p.Object && !p.List {
			t.Fatalf("%q reads as %+v", text, p)
		}
		if p.File != "" && readFilePlace(p.cursor()) != p {
			t.Fatalf("%q reads as %+v, and its cursor as %+v", text, p, readFilePlace(p.cursor()))
		}
		files.begin(event.Cursor(text))
		if files.at > len(files.inputs) || files.Progress().BytesRead > 12 {
			t.Fatalf("%q makes it begin at input %d, %+v", text, files.at, files.Progress())
		}
	})
}
