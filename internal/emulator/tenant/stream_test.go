package tenant_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

// push is a request that a receiver got.
type push struct {
	at     time.Time
	header http.Header
	body   []byte
}

// receiver takes what log streams push. Where refuse says so it answers 500.
type receiver struct {
	mu     sync.Mutex
	pushes []push
	refuse func(n int) bool // n counts from 0
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender has given up
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.pushes)
	r.pushes = append(r.pushes, push{time.Now(), req.Header.Clone(), body})
	if r.refuse != nil && r.refuse(n) {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (r *receiver) got() []push {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pushes)
}

// ids returns the log_ids that came, in their order, with repeats.
func (r *receiver) ids(tb testing.TB) []string {
	tb.Helper()
	var list []string
	for _, p := range r.got() {
		page, err := event.ParsePage(p.body, p.at)
		if err != nil || len(page.Unreadable) > 0 {
			tb.Fatalf("body %s: %v", p.body, err)
		}
		for _, ev := range page.Events {
			list = append(list, ev.LogID)
		}
	}
	return list
}

// client returns one whose requests all reach the receiver.
func (r *receiver) client() *http.Client {
	return &http.Client{Transport: emulator.Transport(r)}
}

const (
	endpoint = "https://gapless.example.com/hook"
	toHook   = `{"name":"hook","type":"http","sink":{"httpEndpoint":"` + endpoint + `"}}`
)

// stream creates a log stream and returns its id.
func stream(tb testing.TB, s *tenant.Server, body string) string {
	tb.Helper()
	id, err := s.CreateLogStream([]byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// settle waits until everything has been pushed.
func settle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// countsOf returns the counts of a stream without those that a test does not speak
// of.
func countsOf(s *tenant.Server, id string) tenant.StreamStats {
	c := s.Stats().Streams[id]
	c.LastError = ""
	return c
}

// What is pushed has the form of recorded requests, in each content format.
func TestPushedForm(t *testing.T) {
	t.Parallel()
	const (
		one = `{"date":"2026-11-01T00:00:00.000Z","type":"s","user_agent":"Firefox 145.0.0 / Linux 0.0.0","log_id":"a","_id":"a","isMobile":false,"n": 1.0}`
		two = `{"_id":"b","user_agent":"","details":{"_id":"kept","isMobile":true}}`

		pushedOne = `{"log_id":"a","data":{"date":"2026-11-01T00:00:00.000Z","type":"s","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0","log_id":"a","n":1.0}}`
		pushedTwo = `{"log_id":"b","data":{"user_agent":"unknown","details":{"_id":"kept","isMobile":true}}}`
	)
	for format, want := range map[string]string{
		"JSONARRAY":  "[" + pushedOne + "," + pushedTwo + "]",
		"JSONLINES":  pushedOne + "\n" + pushedTwo + "\n",
		"JSONOBJECT": `{"logs":[` + pushedOne + "," + pushedTwo + "]}",
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := new(receiver)
				s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client()}})
				stream(t, s, `{"type":"http","sink":{"httpEndpoint":"`+endpoint+`","httpContentFormat":"`+format+`","httpContentType":"application/x",`+
					`"httpAuthorization":"the token","httpCustomHeaders":[{"header":"x-more","value":"1"}]}}`)
				for _, raw := range []string{one, two} {
					if err := s.Append([]byte(raw)); err != nil {
						t.Fatal(err)
					}
				}
				settle(time.Minute)
				got := r.got()
				if len(got) != 1 {
					t.Fatalf("%d requests", len(got))
				}
				if diff := cmp.Diff(want, string(got[0].body)); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
				h := got[0].header
				if h.Get("Authorization") != "the token" || h.Get("Content-Type") != "application/x" || h.Get("X-More") != "1" {
					t.Errorf("headers %v", h)
				}
			})
		})
	}
}

// Every event of the catalogue keeps, pushed, all that both forms have.
func TestPushedFormOfEveryType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client()}})
		stream(t, s, toHook)
		g, err := tenant.NewGenerator(tenant.GeneratorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range g.EachType(time.Now()) {
			if err := s.Append(raw); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		var lines [][]byte
		for _, p := range r.got() {
			lines = append(lines, bytes.Split(bytes.TrimSuffix(p.body, []byte("\n")), []byte("\n"))...)
		}
		if len(lines) != s.Len() {
			t.Fatalf("%d lines for %d events", len(lines), s.Len())
		}
		for i, raw := range s.Events() {
			want, got := make(map[string]any), make(map[string]any)
			if err := errors.Join(json.Unmarshal(raw, &want), json.Unmarshal([]byte(gjson.GetBytes(lines[i], "data").Raw), &got)); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"_id", "isMobile", "user_agent"} {
				delete(want, name)
			}
			if agent, ok := got["user_agent"].(string); ok && strings.Contains(agent, " / ") {
				t.Errorf("user agent %q is parsed", agent)
			}
			delete(got, "user_agent")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
		}
	})
}

// The hash is xxHash's published one of "abc".
func TestPIIIsMaskedOrHashed(t *testing.T) {
	t.Parallel()
	const raw = `{"log_id":"a","user_name":"ann","ip":"192.0.2.1","details":{"request":{"body":{"email":"ann@example.com","given_name":"abc","n":[{"phone_number":"1"}],"address":7}}}}`
	for config, want := range map[string]string{
		`{"log_fields":["email","username","phone","address"]}`: `{"log_id":"a","user_name":"*****","ip":"192.0.2.1","details":{"request":{"body":{"email":"*****","given_name":"abc","n":[{"phone_number":"*****"}],"address":7}}}}`,
		`{"log_fields":["first_name"],"method":"hash"}`:         `{"log_id":"a","user_name":"ann","ip":"192.0.2.1","details":{"request":{"body":{"email":"ann@example.com","given_name":"44bc2cf5ad770999","n":[{"phone_number":"1"}],"address":7}}}}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := new(receiver)
			s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client()}})
			stream(t, s, strings.TrimSuffix(toHook, "}")+`,"pii_config":`+config+"}")
			if err := s.Append([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			settle(time.Minute)
			if diff := cmp.Diff(`{"log_id":"a","data":`+want+"}\n", string(r.got()[0].body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// Without faults, each event is pushed once and in order, whatever puts it into
// the log, in requests of a hundred at most.
func TestEachEventIsPushedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := start(t, tenant.Options{Delay: time.Hour, Streams: tenant.StreamOptions{HTTPClient: r.client()}})
		login(t, s)
		history(t, s, 20)
		id := stream(t, s, toHook) // what was there before is not pushed
		before := s.Len()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Run(ctx, 5); err != nil {
			t.Fatal(err)
		}
		history(t, s, 250)
		late, err := s.AppendLate(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		ids := r.ids(t)
		all := idsOf(t, s)
		if len(ids) != len(all)-before || len(ids) < 550 {
			t.Errorf("%d of %d events were pushed", len(ids), len(all))
		}
		if got := ids[len(ids)-1]; got != gjson.GetBytes(late, "log_id").String() {
			t.Errorf("the late event is not the last one: %s", got)
		}
		if !isSorted(ids[:290]) {
			t.Error("live events came out of order")
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != len(all)-before {
			t.Error("an event was pushed twice")
		}
		c := countsOf(s, id)
		if diff := cmp.Diff(tenant.StreamStats{Status: "active", Tries: len(r.got()), Delivered: len(ids)}, c); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		for i, p := range r.got() {
			if n := bytes.Count(p.body, []byte("\n")); n > 100 || i > 0 && i < 30 && p.at.Sub(r.got()[i-1].at) < time.Second {
				t.Errorf("request %d holds %d events, at %s", i, n, p.at)
			}
		}
	})
}

func TestStreamsFilterByCategory(t *testing.T) {
	t.Parallel()
	for members, want := range map[string][]string{
		`"filters":[]`: {"s", "fp", "limit_wc", "sapi", "news", "cls"},
		`"filters":[{"type":"category","name":"auth.login.fail"},{"type":"category","name":"management.success"}]`: {"fp", "sapi"},
		`"filters":[{"type":"category","name":"other"}]`:                                                           {"news", "cls"},
		`"isPriority":true`: {"limit_wc"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := new(receiver)
			s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client()}})
			stream(t, s, strings.TrimSuffix(toHook, "}")+","+members+"}")
			for _, code := range []string{"s", "fp", "limit_wc", "sapi", "news", "cls"} {
				if err := s.Append(fmt.Appendf(nil, `{"log_id":%q,"type":%q}`, code, code)); err != nil {
					t.Fatal(err)
				}
			}
			settle(time.Minute)
			if diff := cmp.Diff(want, r.ids(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", members, diff)
			}
		})
	}
}

// Three tries with growing waits, a rest, and again, until the receiver takes it.
func TestThreeTriesThenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{refuse: func(n int) bool { return n < 5 }}
		s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client()}})
		id := stream(t, s, toHook)
		began := time.Now()
		history(t, s, 3)
		settle(time.Hour)
		var at []time.Duration
		for _, p := range r.got() {
			at = append(at, p.at.Sub(began))
		}
		if diff := cmp.Diff([]time.Duration{1e9, 2e9, 4e9, 64e9, 65e9, 67e9}, at); diff != "" {
			t.Errorf("times of the tries (-want +got):\n%s", diff)
		}
		c := s.Stats().Streams[id]
		want := tenant.StreamStats{Status: "active", Tries: 6, Failed: 5, Delivered: 3, LastError: "post events: status 500"}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// After seven days of failure the tenant stops; a person starts it again, and
// what the retention has left is pushed.
func TestSuspendedAfterSevenDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		r := &receiver{refuse: func(int) bool { return down }}
		s := start(t, tenant.Options{Retention: 10 * 24 * time.Hour, Streams: tenant.StreamOptions{HTTPClient: r.client(), Restart: 6 * time.Hour}})
		id := stream(t, s, toHook)
		history(t, s, 30)
		settle(7*24*time.Hour - time.Minute)
		if got := s.Stats().Streams[id].Status; got != "active" {
			t.Fatalf("%s before the seven days are over", got)
		}
		settle(7 * time.Hour)
		tried := len(r.got())
		history(t, s, 40)
		settle(4 * 24 * time.Hour)
		c := login(t, s)
		if a := c.get("/api/v2/log-streams/" + id); gjson.GetBytes(a.body, "status").String() != "suspended" || len(r.got()) != tried {
			t.Fatalf("%s after %d further tries", a.text(), len(r.got())-tried)
		}
		r.mu.Lock()
		down, r.pushes = false, nil
		r.mu.Unlock()
		c.decode(c.request(http.MethodPatch, "/api/v2/log-streams/"+id, "application/json", `{"status":"active"}`), new(any))
		settle(time.Minute)
		if got := r.ids(t); len(got) != 41 { // and the login's own event
			t.Errorf("%d events after the resumption", len(got))
		}
		if got := countsOf(s, id); got.Expired != 30 || got.Queued != 0 || got.Status != "active" {
			t.Errorf("counts %+v", got)
		}
	})
}

func TestPausedStreamsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := start(t, tenant.Options{TokenLifetime: 1000 * time.Hour, Streams: tenant.StreamOptions{HTTPClient: r.client()}})
		c := login(t, s)
		id := stream(t, s, toHook)
		set := func(status string) {
			c.decode(c.request(http.MethodPatch, "/api/v2/log-streams/"+id, "application/json", `{"status":"`+status+`"}`), new(any))
		}
		set("paused")
		history(t, s, 7)
		settle(20 * 24 * time.Hour)
		if got := s.Stats().Streams[id]; got.Queued != 7 || got.Tries != 0 {
			t.Errorf("paused: %+v", got)
		}
		set("active")
		settle(time.Minute)
		if got := len(r.ids(t)); got != 7 {
			t.Errorf("%d events after the pause", got)
		}
	})
}

func TestReplayFromStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client()}})
		history(t, s, 600)
		from := time.Now().Add(-30 * time.Minute)
		body := strings.TrimSuffix(toHook, "}") + `,"startFrom":"` + from.Format(time.RFC3339) + `"}`
		old := stream(t, s, body)
		settle(time.Minute)
		if a := login(t, s).request(http.MethodDelete, "/api/v2/log-streams/"+old, "", ""); a.status != http.StatusNoContent {
			t.Fatal(a.text())
		}
		stream(t, s, body) // a replay is another stream
		settle(time.Minute)
		var want []string
		for _, id := range idsOf(t, s) {
			if at, _ := event.TimeInID(id); !at.Before(from) {
				want = append(want, id)
			}
		}
		token := want[len(want)-1] // the login's own event came between the two
		want = want[:len(want)-1]
		got := r.ids(t)
		if diff := cmp.Diff(slices.Concat(want, want, []string{token}), got); diff != "" || len(want) < 250 {
			t.Errorf("%d events (-want +got):\n%s", len(want), diff)
		}
	})
}

// Streams, and what they have still to push, are there again after a restart;
// what was pushed does not come again.
func TestStreamsOutliveARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{refuse: func(n int) bool { return n > 0 }}
		opts := tenant.Options{DataDir: t.TempDir(), Streams: tenant.StreamOptions{HTTPClient: r.client(), BatchSize: 10}}
		s, err := tenant.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		history(t, s, 8)
		from := strings.TrimSuffix(toHook, "}") + `,"startFrom":"1999-12-31T00:00:00Z"}`
		kept, gone := stream(t, s, from), stream(t, s, strings.Replace(toHook, "hook", "gone", 1))
		c := login(t, s)
		c.decode(c.request(http.MethodPatch, "/api/v2/log-streams/"+gone, "application/json", `{"status":"paused"}`), new(any))
		settle(90 * time.Second) // nine go in the first request
		if a := c.request(http.MethodDelete, "/api/v2/log-streams/"+gone, "", ""); a.status != http.StatusNoContent {
			t.Fatal(a.text())
		}
		c.decode(c.request(http.MethodPatch, "/api/v2/log-streams/"+kept, "application/json", `{"name":"new name"}`), new(any))
		history(t, s, 25)
		settle(90 * time.Second)
		first := r.got()[0]
		list := c.get("/api/v2/log-streams").text()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		next := new(receiver)
		opts.Streams.HTTPClient = next.client()
		s = start(t, opts)
		settle(90 * time.Second)
		all := idsOf(t, s)
		done := new(receiver)
		done.pushes = []push{first}
		got := slices.Concat(done.ids(t), next.ids(t))
		slices.Sort(got)
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("pushed before and after (-want +got):\n%s", diff)
		}
		c = login(t, s)
		if again := c.get("/api/v2/log-streams").text(); again != list || !strings.Contains(list, "new name") || strings.Contains(list, "gone") {
			t.Errorf("streams before %s\nand after %s", list, again)
		}
		if id := stream(t, s, toHook); id != "lst_0000000000000003" {
			t.Errorf("the next id is %s", id)
		}
	})
}

// One over a socket, with the client that the tenant has by itself.
func TestPushOverLoopback(t *testing.T) {
	t.Parallel()
	got := make(chan push, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- push{header: r.Header, body: body}
	}))
	defer server.Close()
	s := start(t, tenant.Options{Streams: tenant.StreamOptions{LoopbackHTTP: true, Interval: time.Millisecond}})
	stream(t, s, `{"type":"http","sink":{"httpEndpoint":"`+server.URL+`/hook","httpAuthorization":"token"}}`)
	if err := s.Append([]byte(`{"log_id":"a"}`)); err != nil {
		t.Fatal(err)
	}
	p := <-got
	if string(p.body) != `{"log_id":"a","data":{"log_id":"a"}}`+"\n" || p.header.Get("Authorization") != "token" {
		t.Errorf("%s %v", p.body, p.header)
	}
	_, err := s.CreateLogStream([]byte(`{"type":"http","sink":{"httpEndpoint":"http://192.0.2.1/"}}`))
	if err == nil || !strings.Contains(err.Error(), "does not match pattern") {
		t.Errorf("http off the machine: %v", err)
	}
}
