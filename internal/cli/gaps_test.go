package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestStatusShowsGapsAndRisks has a data directory with a healed and an open gap,
// left alone for most of the retention.
func TestStatusShowsGapsAndRisks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	s, err := store.Open(t.Context(), store.Config{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Buffer(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for _, in := range []pipeline.Intake{
		{Cursor: "7", Gap: &event.Gap{FromID: "1", FromTime: day(1), ToID: "2", ToTime: day(2), Reason: "expired"}},
		{Mark: event.Mark{Since: day(1), Until: day(5)}},
		{Gap: &event.Gap{FromID: "3", FromTime: day(6), ToTime: day(8), Reason: "expired"}, Mark: event.Mark{Since: day(8), Until: time.Now().Add(-20 * time.Hour)}},
	} {
		_, aerr := b.Append(t.Context(), "poll", in)
		err = errors.Join(err, aerr)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "g.yaml")
	text := "data_dir: " + data + "\ntenants:\n  - name: dev\n    domain: a.example.com\n    client_id: a\n    client_secret: b\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	show := func(args ...string) (int, string, string) {
		return run(t, nil, append([]string{"status", "--config", config}, args...)...)
	}
	code, out, stderr := show()
	for _, want := range []string{
		"  gap            from 1 (2026-01-01T00:00:00Z) to 2 (2026-01-02T00:00:00Z), healed 20",
		"  gap            from 3 (2026-01-06T00:00:00Z) to - (2026-01-08T00:00:00Z), open: expired\n",
		"  retention      Auth0 keeps the log for 1d0h, read up to 20",
		"  at risk        nothing that happened in the last 20h",
		"                 Start gapless. Mend what keeps",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if code != 5 || !strings.Contains(stderr, "in trouble or at risk: dev\nTry: Start gapless.") {
		t.Errorf("code %d, %q; want 5 and what to do", code, stderr)
	}
	if _, out, _ := show("--json"); !strings.Contains(out, `"kind": "unfetched"`) || strings.Count(out, `"healed": "0001-`) != 1 {
		t.Errorf("the JSON lacks the risk or the gaps:\n%s", out)
	}

	text = strings.Replace(text, "    client_id", "    auth0_retention: essentials\n    client_id", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := show(); code != 0 || !strings.Contains(out, "keeps the log for 5d0h") {
		t.Errorf("with a longer retention: code %d, %s%s", code, out, stderr)
	}
}
