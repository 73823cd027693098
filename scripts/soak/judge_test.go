package main

import (
	"strings"
	"testing"
	"time"
)

// TestJudgeFindsGrowth lets each figure leak, and none.
func TestJudgeFindsGrowth(t *testing.T) {
	t.Parallel()
	for name, leak := range map[string]func(s *sample, i float64){
		"resident memory": func(s *sample, i float64) { s.rss += 4 * i },
		"open files":      func(s *sample, i float64) { s.files += i },
		"goroutines":      func(s *sample, i float64) { s.goroutines += 2 * i },
		"store":           func(s *sample, i float64) { s.store += i },
		"":                func(s *sample, i float64) { s.delivered += 1000 * i },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var list []sample
			for i := range 30 {
				s := sample{at: time.Duration(i) * time.Second, rss: 60 + float64(i%4), files: 20, goroutines: 30, store: 10}
				leak(&s, float64(i))
				list = append(list, s)
			}
			err := judge(list)
			if name == "" && err != nil || name != "" && (err == nil || !strings.Contains(err.Error(), name)) {
				t.Errorf("judged: %v", err)
			}
		})
	}
	if judge(nil) == nil {
		t.Error("nothing was judged to be well")
	}
}
