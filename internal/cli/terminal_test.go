package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// hostile is text that a terminal would obey: escapes of both forms, a bell, a
// change of the direction of writing, and bytes that are no UTF-8.
const hostile = "a\x1b[2J\x1b]0;title\x07b\u009b31m\u202ec\r\xff\x9b"

// TestNoCommandObeysTheOutsideWorld has hostile text wherever Auth0, AWS and the
// events have a say in what is kept, and looks at what the commands print.
func TestNoCommandObeysTheOutsideWorld(t *testing.T) {
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
	bad := pipeline.Error{Class: pipeline.Unauthorized, Err: errors.New(hostile), Hint: hostile}
	_, err = b.Append(t.Context(), "poll", pipeline.Intake{
		Entries: []pipeline.Entry{{
			Event:       event.Event{LogID: hostile, Type: hostile, Date: time.Now(), Raw: []byte(hostile)},
			Destination: pipeline.Destination{LogGroup: hostile, LogStream: hostile},
		}},
		Unreadable: []event.Unreadable{{Raw: []byte(hostile), Reason: hostile}},
		Skipped:    map[string]int{hostile: 1}, Cursor: hostile, Gap: &event.Gap{FromID: hostile, ToID: hostile, Reason: hostile},
	})
	if err := errors.Join(err, b.SetCondition(t.Context(), pipeline.Condition{Part: "poll", Err: bad}), s.Close()); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "g.yaml")
	text := "data_dir: " + data + "\ntenants:\n  - name: dev\n    domain: a.example.com\n    client_id: a\n    client_secret: b\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(dir, "events.jsonl")
	raw := `{"log_id":"a\u001b[2J","type":"\u001b[2J","date":"2026-11-23T10:00:00Z","user_name":"` + "b\u009b31m\u202ec" + `@example.com","client_id":"\u001b[2J` + "\u009b31m" + `"}`
	if err := os.WriteFile(events, []byte(raw+"\n{\"\x1b[2J\u009b\",}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deny, mask := "tenants.0.filter.clients.deny=*", "tenants.0.redact.presets=auth0-pii"
	for _, args := range [][]string{
		{"filter", "test", "--file", events, "--set", deny},
		{"filter", "test", "--file", events, "--set", deny, "--all"},
		{"filter", "test", "--file", events, "--set", deny, "--json"},
		{"redact", "test", "--file", events, "--set", mask, "--full"},
		{"redact", "test", "--file", events, "--json"},
		{"sample", "--file", events, "--set", "tenants.0.cloudwatch.log_stream={client}"},
		{"sample", "--file", events, "--json"},
		{"sample", "--file", hostile},
		{"status"},
		{"status", "--json"},
		{"deadletter", "list"},
		{"deadletter", "list", "--json"},
		{"deadletter", "show", "1"},
		{"deadletter", "show", "1", "--json"},
		{"import", hostile},
		{"cursor", "reset", "--yes"},
		{"config", "check", "--set", "listen=" + hostile},
		{"config", "check", "--set", "tenants.0.domain=" + hostile},
		{"config", "check", "--set", hostile},
		{hostile},
		{"config", "print", "--set", "tenants.0.client_id=" + hostile},
		{"run", "--once", "--set", "data_dir=" + dir + "/\x1b[2J\x00"},
	} {
		if len(args) > 1 {
			args = append(args, "--config", config)
		}
		code, stdout, stderr := run(t, nil, args...)
		if strings.ContainsFunc(stdout+stderr, func(r rune) bool {
			return r != '\n' && r != '\t' && (!unicode.IsPrint(r) || r == unicode.ReplacementChar)
		}) {
			t.Errorf("%q, code %d, printed\n%q\n%q", args, code, stdout, stderr)
		}
		if len(args) > 3 && args[3] == events && !strings.Contains(stdout, "2026-11-23") {
			t.Errorf("%q, code %d, shows no event\n%q\n%q", args, code, stdout, stderr)
		}
		if args[0] == "deadletter" && (code != 0 || args[1] == "show" && !strings.Contains(stdout, "1b")) {
			t.Errorf("%q, code %d, shows no letter\n%q\n%q", args, code, stdout, stderr)
		}
	}
}
