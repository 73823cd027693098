package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/verify"
)

// TestVerifyLine says how far a verification is, and how long it may take.
func TestVerifyLine(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	span := verify.Span{Since: since, Until: since.Add(10 * time.Hour)}
	for want, p := range map[string]verify.Progress{
		"reading Auth0: 0 events":                                             {Phase: verify.PhaseAuth0, Span: span},
		"reading Auth0: 300 events, 25% of the span, 3m0s left":               {Phase: verify.PhaseAuth0, Span: span, Events: 300, Reached: since.Add(150 * time.Minute)},
		"reading the destination audit: 1 event, 100% of the span, 0.0s left": {Phase: verify.PhaseDestination, Destination: "audit", Span: span, Events: 1, Reached: since.Add(20 * time.Hour)},
		"comparing": {Phase: verify.PhaseCompare, Span: span},
		"3 events not found yet, looking again for 40s":                 {Phase: verify.PhaseLook, Open: 3, Left: 40 * time.Second},
		"looking for 3 events: 2000 events, 50% of the span, 1m0s left": {Phase: verify.PhaseLook, Open: 3, Events: 2000, Span: span, Reached: since.Add(5 * time.Hour)},
	} {
		if got := verifyLine(p, time.Minute); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestVerifyReportIsPlain writes a report with names that would drive a terminal, and
// more findings than are listed.
func TestVerifyReportIsPlain(t *testing.T) {
	t.Parallel()
	found, err := newSpool()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := found.close(); err != nil {
			t.Error(err)
		}
	}()
	for range mostShown + 5 {
		f := verify.Finding{Kind: verify.Twice, LogID: "id\x1b[2J", Destination: "audit", AllCopies: 200}
		for range 100 {
			f.Copies = append(f.Copies, verify.Copy{LogGroup: "/g", LogStream: "s\x1b]0;x\a", EventID: "3"})
		}
		if err := found.add(f); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := writeVerified(&b, "dev\x1b", verify.Summary{Destinations: []verify.Result{{Found: map[verify.Kind]int64{verify.Twice: 25}}}}, found, mostShown); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if strings.ContainsAny(text, "\x1b\a") {
		t.Errorf("a control character: %q", text)
	}
	for _, want := range []string{"cloudwatch: NOT CLEAN\n", "       25  there more than once\n", "      and 195 more\n", "  and 5 more: --report FILE writes all\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
