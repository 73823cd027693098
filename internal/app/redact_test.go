package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/sqs"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// canary is in every secret of the events of a test; no mask leaves it.
const canary = "canary"

// plantedEvent is a record with secrets in odd places.
func plantedEvent(id, source string) string {
	c := "x" + canary + "-" + source
	return `{"log_id":"` + id + `","date":"` + time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + `","type":"s","kept": 1.50,` +
		`"user_name":"` + c + `-1@example.org","user_name":"` + c + `-2","em\u0061il":"` + c + `-3","client_name":"plain",` +
		`"description":"from ` + c + `-4@example.org, with Bearer ` + c + `5","` + c + `-6@example.org":{"` + c + `-7\u0040example.org":1},` +
		`"details":{"list":[[{"password":"` + c + `-8"},{"password":["` + c + `-9",{"x":"` + c + `-10"}]}]],` +
		`"body":"{\"password\":\"` + c + `-11\",\"in\":\"[{\\\"p\\u0061ssword\\\":\\\"` + c + `-12\\\"}]\"}",` +
		`"cut":"{\"password\":\"` + c + `-13\",\"a","form":"grant=1&password=` + c + `-14&x=%7B",` +
		`"url":"https://x.example/?m=` + c + `%2D15%40example.org&r=https%3A%2F%2Fy%3Faccess_token%3D` + c + `-16",` +
		`"jwt":["eyJhbGciOiJIUzI1NiJ9.eyJz` + canary + `.c2ln"],"token":{"any":"` + c + `-17"}}}`
}

// tooDeep is a record to which rules cannot be applied.
func tooDeep(tb testing.TB, id, source string) string {
	tb.Helper()
	text := `{"password":"` + canary + "-" + source + `"}`
	for range 10 {
		b, err := json.Marshal([]string{text})
		if err != nil {
			tb.Fatal(err)
		}
		text = string(b)
	}
	return `{"log_id":"` + id + `","date":"` + time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + `","type":"f","x":` + text + `}`
}

// redactions are the rules of the test.
func redactions(tb testing.TB) config.Redact {
	tb.Helper()
	key, err := config.ParseSecret("a key of redaction for tests")
	if err != nil {
		tb.Fatal(err)
	}
	return config.Redact{
		Presets: []string{"auth0-pii", "no-secrets"}, Key: key,
		Rules: []config.RedactRule{{Kind: "email", Keys: true, Action: "hash"}, {Path: "..any", Action: "drop"}},
	}
}

// spoilPages puts a record that is no event into each page that the poll reads.
func spoilPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		if r.URL.Query().Has("from") && bytes.HasPrefix(body, []byte(`[{`)) {
			body = append(bytes.TrimSuffix(body, []byte("]")), `,{"password":"`+canary+`-broken",}]`...)
		}
		maps.Copy(w.Header(), rec.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	})
}

// shows reports whether a text shows a secret, as it stands or decoded.
func shows(text string) bool {
	for range 4 {
		if strings.Contains(text, canary) {
			return true
		}
		u, err := url.QueryUnescape(text)
		if err != nil || u == text {
			break
		}
		text = u
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return false
	}
	return showsIn(v)
}

// showsIn is shows for a decoded value.
func showsIn(v any) bool {
	switch v := v.(type) {
	case string:
		return shows(v)
	case []any:
		return slices.ContainsFunc(v, showsIn)
	case map[string]any:
		for k, inner := range v {
			if shows(k) || showsIn(inner) {
				return true
			}
		}
	}
	return false
}

// kept returns all that the store of a directory holds: the events that wait, and
// the dead letters.
func kept(t *testing.T, dir string) (waiting []event.Event, letters []store.DeadLetter) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Buffer(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	limits := pipeline.Limits{MaxEvents: 1000, MaxBytes: 1 << 20, MaxSpan: 24 * time.Hour}
	batch, err := b.Next(t.Context(), limits)
	if err != nil {
		t.Fatal(err)
	}
	letters, err = s.DeadLetters(t.Context(), store.LetterFilter{}, 1000)
	for i := range letters {
		if err == nil {
			letters[i], err = s.DeadLetter(t.Context(), letters[i].ID)
		}
	}
	if err := errors.Join(err, b.Settle(t.Context(), batch, pipeline.RetryAll(batch, pipeline.Doubt{})), s.Close()); err != nil {
		t.Fatal(err)
	}
	return batch.Events, letters
}

// TestNothingRedactedIsKeptOrShown lets events with secrets in odd places come by
// every source, with ones that cannot be redacted and pieces that are no events, and
// looks for the secrets on the disk, in CloudWatch Logs, and in everything that
// people see.
func TestNothingRedactedIsKeptOrShown(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, data, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.pushTo(t)
		s := w.sites[0]
		q := w.queue(sqs.Options{})
		w.cfg.Tenants[0].Redact = redactions(t)
		w.hosts["dev.example.com"] = emulator.Transport(spoilPages(s.tenant))
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 500}) // the events stay in the buffer
		var log bytes.Buffer
		listener := newPlug()
		a, err := app.New(t.Context(), app.Options{
			Config: w.cfg, Listener: listener, ListenWebhook: w.door.open, Auth0HTTP: w, AWSHTTP: &http.Client{Transport: w},
			Logger:         slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			AWSCredentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.app = a
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, raw := range []string{plantedEvent("poll-1", "poll"), tooDeep(t, "poll-2", "poll")} {
			if err := s.tenant.Append([]byte(raw)); err != nil {
				t.Fatal(err)
			}
		}
		client, end := w.door.client(nil)
		defer end()
		for _, body := range []string{
			`[` + plantedEvent("hook-1", "hook") + `,{"log_id":"hook-3","data":` + plantedEvent("hook-3", "hook") + `},` + tooDeep(t, "hook-2", "hook") + `]`,
			`{"log_id":"hook-4","data":` + strings.Replace(plantedEvent("hook-4", "hook"), `"log_id":"hook-4",`, "", 1) + `}`, // the envelope stays
			`{"password":"` + canary + `-body`, `["` + canary + `"]`, canary + " alone",
		} {
			for {
				code, err := w.door.push(t.Context(), client, "http://hook", "dev", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if code != http.StatusServiceUnavailable { // as it says before the source runs
					break
				}
				<-time.After(time.Second)
			}
		}
		s.push(q, [][]byte{[]byte(plantedEvent("queue-1", "queue")), []byte(tooDeep(t, "queue-2", "queue"))})
		q.Send("auth0", `{"password":"`+canary+`-message"`, `{"no":"event","of":"`+canary+`"}`)
		<-time.After(2 * time.Minute)
		shown := listener.shown(t) + printed(t, w.cfg)
		onDisk := files(t, w.cfg.DataDir)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		checkKept(t, w.cfg.DataDir, "poll-1", "hook-1", "hook-3", "hook-4", "queue-1")

		s.aws.Clear()
		w.log = &log
		paths := []string{filepath.Join(dir, "events.jsonl")}
		lines := plantedEvent("file-1", "file") + "\n" + tooDeep(t, "file-2", "file") + "\n{\"password\":\"" + canary + "-line\",}\n"
		if err := os.WriteFile(paths[0], []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.runImport(t.Context(), t, s, paths...); err != nil {
			t.Fatal(err)
		}
		onDisk += files(t, w.cfg.DataDir)
		checkDelivered(t, s.stored(), "poll-1", "hook-1", "hook-3", "hook-4", "queue-1", "file-1")
		for name, text := range map[string]string{"what people see": shown, "the log": log.String(), "the disk": onDisk} {
			if i := strings.Index(text, canary); i >= 0 {
				t.Errorf("%s has %q", name, text[max(0, i-80):min(len(text), i+80)])
			}
		}
		if !strings.Contains(shown, `gapless_withheld_events_total{source="webhook",tenant="dev"} 1`) || log.Len() == 0 {
			t.Errorf("nothing is shown of what was withheld:\n%s", shown)
		}
	})
}

// checkKept holds what waits and the dead letters to be as redaction leaves them.
func checkKept(t *testing.T, dir string, want ...string) {
	t.Helper()
	waiting, letters := kept(t, dir)
	ids := map[string]bool{}
	for _, e := range waiting {
		ids[e.LogID] = true
		if shows(string(e.Raw)) || !json.Valid(e.Raw) {
			t.Errorf("waiting: %s", e.Raw)
		}
	}
	for _, id := range want {
		if !ids[id] {
			t.Errorf("%s does not wait for delivery", id)
		}
	}
	var stubs, pieces int
	for _, l := range letters {
		switch raw := string(l.Event.Raw); {
		case shows(raw) || shows(l.Detail) || shows(l.Reason) || !json.Valid(l.Event.Raw):
			t.Errorf("dead letter: %+v %s", l, raw)
		case strings.Contains(raw, `"type":"f"`) && strings.Contains(l.Detail, "a redaction rule could not be applied"):
			stubs++
		case strings.Contains(raw, `"fingerprint"`):
			pieces++
		}
	}
	if stubs != 3 || pieces != 6 {
		t.Errorf("%d withheld events and %d pieces of %d dead letters, want 3 and 6", stubs, pieces, len(letters))
	}
}

// checkDelivered holds what was delivered to be as redaction leaves it.
func checkDelivered(t *testing.T, all []cloudwatch.StoredEvent, want ...string) {
	t.Helper()
	var messages []string
	for _, e := range all {
		messages = append(messages, e.Message)
		if shows(e.Message) {
			t.Errorf("delivered: %s", e.Message)
		}
	}
	for _, id := range want {
		n := 0
		for _, m := range messages {
			if strings.Contains(m, fmt.Sprintf(`"log_id":%q`, id)) && strings.Contains(m, `"kept": 1.50,"user_name":"hmac-sha256:`) && strings.Contains(m, `"client_name":"plain"`) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s was delivered %d times:\n%s", id, n, strings.Join(messages, "\n"))
		}
	}
}

// The configuration knows the presets, kinds and actions that there are, and no
// others.
func TestRedactionIsOfOneMind(t *testing.T) {
	t.Parallel()
	var presets []string
	for _, p := range transform.RedactPresets() {
		presets = append(presets, p.Name)
	}
	if !slices.Equal(presets, config.RedactPresets()) {
		t.Errorf("presets %q and %q", presets, config.RedactPresets())
	}
	schema, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(schema)), "")
	for _, list := range [][]string{transform.RedactKinds(), transform.RedactActions()} {
		if !strings.Contains(text, `"enum":["`+strings.Join(list, `","`)) {
			t.Errorf("the schema does not hold %q", list)
		}
	}
	docs, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range transform.RedactPresets() {
		for _, r := range p.Rules {
			for _, path := range r.Paths {
				if !strings.Contains(string(docs), "`"+strings.TrimPrefix(path, "..")+"`") {
					t.Errorf("docs/rules.md does not list %s of %s", path, p.Name)
				}
			}
		}
	}
}

// A key of redaction that cannot be had, or is too short, ends the start.
func TestRedactionNeedsItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	defer w.close(t.Context(), t)
	for reference, want := range map[string]string{"env:NOWHERE": "read redact.key", "short": "the key is shorter than 16 bytes"} {
		key, err := config.ParseSecret(reference)
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Tenants[0].Redact = config.Redact{Key: key, Presets: []string{"no-secrets"}}
		_, err = w.open(t.Context())
		if e, ok := errors.AsType[*pipeline.Error](err); !ok || e.Class != pipeline.Misconfigured || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", reference, err, want)
		}
	}
}
