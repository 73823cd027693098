package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lines turns shorthand into a run of `go test -json`.
func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

func TestSummary(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in, out, closing string
	}{
		"passing package prints its line alone": {
			in: lines(
				`{"Action":"output","Package":"p","Output":"-test.shuffle 1\n"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"PASS\n"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p"}`,
			),
			out:     "ok  \tp\t0.1s\n",
			closing: "1 passed, 0 failed, 0 skipped",
		},
		"failing test prints all it wrote": {
			in: lines(
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: got 2, want 1\n"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"fine\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestB"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestA\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
				`{"Action":"fail","Package":"p"}`,
			),
			out:     "    a_test.go:1: got 2, want 1\n--- FAIL: TestA\nFAIL\tp\t0.1s\n",
			closing: "1 passed, 1 failed, 0 skipped",
		},
		"skipped test is named with its reason": {
			in: lines(
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: install the AWS CLI\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
				`{"Action":"skip","Package":"q"}`,
			),
			out:     "\nNOT RUN: 1 tests were skipped. What each of them says:\n  p TestA: a_test.go:1: install the AWS CLI\n",
			closing: "0 passed, 0 failed, 1 skipped",
		},
		"crash blames the test that never ended": {
			in: lines(
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
				`{"Action":"fail","Package":"p"}`,
			),
			out:     "FAIL\tp\t0.1s\npanic: boom\n",
			closing: "0 passed, 1 failed, 0 skipped",
		},
		"compiler speaks": {
			in: lines(
				`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			),
			out:     "p.go:1: undefined: x\nFAIL\tp [build failed]\n",
			closing: "0 passed, 1 failed, 0 skipped",
		},
		"other text goes through": {
			in:      "go: downloading x\n",
			out:     "go: downloading x\n",
			closing: "0 passed, 0 failed, 0 skipped",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSummary()
			var out strings.Builder
			if err := s.read(strings.NewReader(tt.in), &out); err != nil {
				t.Fatal(err)
			}
			s.print(&out)
			if diff := cmp.Diff(tt.out, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if got := s.closing(); got != tt.closing {
				t.Errorf("closing line %q, want %q", got, tt.closing)
			}
		})
	}
}
