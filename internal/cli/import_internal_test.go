package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		progress app.FileProgress
		waiting  int64
		want     string
	}{
		"nothing yet": {
			app.FileProgress{Files: 3, Bytes: 4 << 20, Current: "a"},
			0,
			"files 0/3 · 0% of 4 MiB · 0 events, 0/s · 0 wait for delivery",
		},
		"on the way": {
			app.FileProgress{Files: 3, Read: 1, Bytes: 4 << 20, BytesRead: 1 << 20, Events: 1000, Current: "b"},
			200,
			"files 1/3 · 25% of 4 MiB · 1000 events, 100/s · 30s left · 200 wait for delivery",
		},
		"after an interruption": { // the first half was read before: it says nothing of the rate
			app.FileProgress{Files: 3, Read: 1, Bytes: 4 << 20, BytesRead: 3 << 20, Resumed: 2 << 20, Events: 1000, AllProblems: 1, Current: "b"},
			0,
			"files 1/3 · 75% of 4 MiB · 1000 events, 100/s · 10s left · 1 piece unread · 0 wait for delivery",
		},
		"all read": {
			app.FileProgress{Files: 3, Read: 3, Bytes: 4 << 20, BytesRead: 4 << 20, Events: 1},
			1,
			"files 3/3 · 1 event, 0/s · 1 wait for delivery",
		},
		"standard input": {
			app.FileProgress{Files: 1, BytesRead: 2048, Events: 20, Current: "-"},
			0,
			"files 0/1 · 2 KiB · 20 events, 2/s · 0 wait for delivery",
		},
		"empty files": {app.FileProgress{Files: 1}, 0, "files 0/1 · 0 B · 0 events, 0/s · 0 wait for delivery"},
	} {
		got := progressLine(test.progress, app.Imported{Waiting: test.waiting}, 10*time.Second)
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

// The list of problems is bounded, and names that a terminal would obey are shown
// as they are written in Go.
func TestImportReportIsPlain(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &importing{env: &Env{Stdout: &out}}
	err := r.print(importReport{
		Tenant: "dev", Files: 2, FilesRead: 2, Events: 5, New: 4, Known: 1, Delivered: 3, Rejected: 1, Altered: 1, Skipped: 2, Unread: 9,
		Problems: []app.FileProblem{{File: "a\x1b[2J", Line: 3, Reason: "not valid JSON"}, {File: "b", Line: 7, Reason: "gzip: invalid checksum", Rest: true}},
	})
	const want = `dev: 2 of 2 files read, with 5 events: 4 new, 1 known already
dev: 3 events delivered, 0 waiting
dev: 2 events left out on purpose
dev: 1 event delivered in another form; the whole ones are in the dead letters
dev: 1 event that CloudWatch Logs can never take, in the dead letters
dev: 9 pieces could not be read:
  a\x1b[2J:3: not valid JSON
  b:7: gzip: invalid checksum; what follows was not read
  and 7 more
`
	if diff := cmp.Diff(want, out.String()); err != nil || diff != "" {
		t.Errorf("%v; -want +got:\n%s", err, diff)
	}
}
