package emulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// worker answers with what it was sent and counts its work.
type worker struct {
	mu     sync.Mutex
	bodies []string
}

func (w *worker) worked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.bodies)
}

func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.bodies = append(w.bodies, string(body))
	w.mu.Unlock()
	rw.Header().Set("X-Worker", "yes")
	rw.WriteHeader(http.StatusAccepted)
	_, _ = rw.Write(append([]byte("did "), body...))
}

func operation(r *http.Request) string { return r.Method + " " + r.URL.Path }

// try sends a request and returns what came back.
func try(ctx context.Context, t *testing.T, rt http.RoundTripper, body string) (status int, text string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://emulator.example.com/work?x=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

func TestFaultKinds(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault  emulator.Fault
		status int
		text   string
		broken bool
		worked int
	}{
		"answer":   {fault: emulator.Fault{Status: 429, Body: "slow down"}, status: 429, text: "slow down"},
		"default":  {fault: emulator.Fault{Kind: emulator.FaultAnswer}, status: 500},
		"delay":    {fault: emulator.Fault{Kind: emulator.FaultDelay, Delay: time.Hour}, status: 202, text: "did it", worked: 1},
		"cut":      {fault: emulator.Fault{Kind: emulator.FaultCut}, broken: true},
		"garbage":  {fault: emulator.Fault{Kind: emulator.FaultGarbage}, status: 200, text: "\x00\xff{\"not\": json]]\x1b\x07"},
		"truncate": {fault: emulator.Fault{Kind: emulator.FaultTruncate}, status: 202, text: "did", broken: true, worked: 1},
		"lost":     {fault: emulator.Fault{Kind: emulator.FaultLost}, broken: true, worked: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := new(worker)
				rt := emulator.Transport(emulator.NewFaults(c.fault).Wrap(operation, w))
				status, text, err := try(t.Context(), t, rt, "it")
				if status != c.status || text != c.text || len(w.worked()) != c.worked {
					t.Errorf("%d %q, worked %v", status, text, w.worked())
				}
				if broken := errors.Is(err, io.ErrUnexpectedEOF); broken != c.broken {
					t.Errorf("error %v", err)
				}
				if status, text, err := try(t.Context(), t, rt, "again"); status != 202 || text != "did again" || err != nil {
					t.Errorf("afterwards: %d %q %v", status, text, err)
				}
			})
		})
	}
}

// The same kinds over a socket, where the connection really drops.
func TestFaultsOverASocket(t *testing.T) {
	t.Parallel()
	faults := emulator.NewFaults(
		emulator.Fault{Kind: emulator.FaultCut}, emulator.Fault{Kind: emulator.FaultTruncate}, emulator.Fault{Kind: emulator.FaultLost})
	w := new(worker)
	server := httptest.NewServer(faults.Wrap(operation, w))
	defer server.Close()
	client := server.Client()
	for range 3 {
		resp, err := client.Post(server.URL+"/work", "text/plain", strings.NewReader("it"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Error("no error")
		}
	}
	if len(w.worked()) != 2 {
		t.Errorf("worked %v", w.worked())
	}
}

func TestHangEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []emulator.FaultKind{emulator.FaultHang, emulator.FaultDelay} {
			w := new(worker)
			rt := emulator.Transport(emulator.NewFaults(emulator.Fault{Kind: kind, Delay: time.Hour}).Wrap(operation, w))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if _, _, err := try(ctx, t, rt, "it"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", kind, err)
			}
			cancel()
			synctest.Wait()
			if len(w.worked()) != 0 {
				t.Errorf("%s: worked", kind)
			}
		}
	})
}

func TestScript(t *testing.T) {
	t.Parallel()
	faults := emulator.NewFaults(
		emulator.Fault{Match: "POST /work", After: 1, Times: 2, Status: 501},
		emulator.Fault{Match: "POST /wo*", After: 2, Status: 502},
		emulator.Fault{Match: "GET /work", Status: 503},
		emulator.Fault{After: 4, Times: -1, Status: 504},
	)
	rt := emulator.Transport(faults.Wrap(operation, new(worker)))
	var got []int
	for range 7 {
		status, _, err := try(t.Context(), t, rt, "")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{202, 501, 501, 502, 504, 504, 504}, got); diff != "" {
		t.Error(diff)
	}
	var hits []int
	for _, s := range faults.List() {
		hits = append(hits, s.Hits)
	}
	if diff := cmp.Diff([]int{2, 1, 0, 3}, hits); diff != "" {
		t.Error(diff)
	}
	faults.Clear()
	if status, _, _ := try(t.Context(), t, rt, ""); status != 202 || len(faults.List()) != 0 {
		t.Errorf("after Clear: %d", status)
	}
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	var none *emulator.Faults
	rt := emulator.Transport(emulator.Log(nil, operation, none.Wrap(operation, new(worker))))
	if status, text, err := try(t.Context(), t, rt, "it"); status != 202 || text != "did it" || err != nil {
		t.Errorf("%d %q %v", status, text, err)
	}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	faults := new(emulator.Faults)
	do := func(method, body string) (int, string) {
		rec := httptest.NewRecorder()
		faults.ServeHTTP(rec, httptest.NewRequest(method, emulator.FaultsPath, strings.NewReader(body)))
		return rec.Code, strings.TrimSpace(rec.Body.String())
	}
	for _, step := range []struct {
		method, body string
		status       int
		answer       string
	}{
		{http.MethodGet, "", 200, "[]"},
		{http.MethodPost, `{"match":"PutLogEvents","kind":"delay","delay":"1.5s"}`, 200, `[{"match":"PutLogEvents","kind":"delay","delay":"1.5s","hits":0,"spent":false}]`},
		{http.MethodDelete, "", 200, "[]"},
		{http.MethodPost, ` [{"kind":"cut","times":-1},{"kind":"answer","status":404,"header":{"A":"b"}}]`, 200, `[{"times":-1,"kind":"cut","hits":0,"spent":false},{"kind":"answer","status":404,"header":{"A":"b"},"hits":0,"spent":false}]`},
		{http.MethodPost, `{"kind":"explode"}`, 400, ""},
		{http.MethodPost, `{"kind":"delay","delay":"soon"}`, 400, ""},
		{http.MethodPost, `{"kinds":"cut"}`, 400, ""},
		{http.MethodPost, `[{"times":-2}]`, 400, ""},
		{http.MethodPost, `{"after":-1}`, 400, ""},
		{http.MethodPost, `{"status":99}`, 400, ""},
		{http.MethodPost, `{"delay":"-1s"}`, 400, ""},
		{http.MethodPut, "", 405, ""},
	} {
		status, answer := do(step.method, step.body)
		if status != step.status || step.answer != "" && answer != step.answer {
			t.Errorf("%s %s: %d %s", step.method, step.body, status, answer)
		}
	}
}

func TestFaultJSONComesBack(t *testing.T) {
	t.Parallel()
	want := emulator.Fault{
		Match: "m", After: 1, Times: 2, Kind: emulator.FaultAnswer, Status: 418,
		Header: map[string]string{"Retry-After": "1"}, Body: "b", Delay: 1500 * time.Millisecond,
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got emulator.Fault
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "duration" {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: drop}))
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		emulator.Note(r.Context(), slog.Int("events", 3))
		new(worker).ServeHTTP(w, r)
	})
	faults := emulator.NewFaults(emulator.Fault{After: 1, Kind: emulator.FaultCut}, emulator.Fault{After: 2, Kind: emulator.FaultTruncate})
	rt := emulator.Transport(emulator.Log(logger, operation, faults.Wrap(operation, inner)))
	for range 3 {
		_, _, _ = try(t.Context(), t, rt, "secret")
	}
	want := `level=INFO msg="POST /work" events=3 status=202
level=INFO msg="POST /work" fault=cut status=dropped
level=INFO msg="POST /work" fault=truncate events=3 status="dropped halfway"
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	emulator.Note(t.Context(), slog.String("no", "line")) // does nothing
}

func TestTransportIsAServer(t *testing.T) {
	t.Parallel()
	rt := emulator.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "/path?q=1" || r.Host != "emulator.example.com" || r.RemoteAddr == "" {
			t.Errorf("%q %q %q", r.RequestURI, r.Host, r.RemoteAddr)
		}
		w.Header().Set("Early", "1")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("Late", "1")
	}))
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://emulator.example.com/path?q=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusTeapot || resp.Header.Get("Early") != "1" || resp.Header.Get("Late") != "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
}
