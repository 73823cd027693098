package transform_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// BenchmarkFilter applies filters to real events of 1 kB each.
func BenchmarkFilter(b *testing.B) {
	data, err := os.ReadFile("../event/testdata/samples.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	var events []event.Event
	bytes := 0
	for line := range strings.Lines(string(data)) {
		e := parse(b, line)
		events, bytes = append(events, e), bytes+len(e.Raw)
	}
	for _, c := range []struct {
		name  string
		rules transform.FilterRules
	}{
		{"types", transform.FilterRules{MinLevel: new(2), Types: transform.Selection{Allow: []string{"s", "gd_*"}, Deny: []string{"sapi"}}}},
		{"clients", transform.FilterRules{Clients: transform.Selection{Deny: []string{"abc", "My *"}}}},
		{"expression", transform.FilterRules{Expression: `event.type != "sapi" or event.ip startsWith "10."`}},
	} {
		f, err := transform.NewFilter(c.rules, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(bytes / len(events)))
			i := 0
			for b.Loop() {
				f.Apply(events[i%len(events)])
				i++
			}
		})
	}
}
