package tenant_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

// early is an id from before anything, inside the retention.
func early() string { return event.IDAt(time.Now().Add(-2 * time.Hour)) }

func TestWalkReturnsEveryEventAsStored(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Seed: 4})
	history(t, s, 1234)
	c := login(t, s)
	if diff := cmp.Diff(texts(s), c.walk(from(early()))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if s.Len() != 1235 {
		t.Errorf("%d events, want the history and the token's", s.Len())
	}
	requests := s.Stats().Requests["GET /api/v2/logs"]
	if requests != 14 {
		t.Errorf("%d requests for 1,235 events, want 13 and an empty one", requests)
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Seed: 4})
	history(t, s, 150)
	c := login(t, s)
	ids := idsOf(t, s)
	last := ids[len(ids)-1]
	between := ids[9][:55] + string(ids[9][55]+1) // an id that no event has, unless the counter says so
	if slices.Contains(ids, between) {
		between = ids[9]
	}
	future := event.IDAt(time.Now().Add(time.Hour))
	tests := map[string]struct {
		query string
		want  []string
		next  string
	}{
		"default take":       {"from=" + ids[0], ids[1:51], "from=" + ids[50] + "&take=50"},
		"exclusive":          {"from=" + ids[3] + "&take=2", ids[4:6], "from=" + ids[5] + "&take=2"},
		"unknown id":         {"from=" + between + "&take=3", ids[10:13], "from=" + ids[12] + "&take=3"},
		"the rest":           {"from=" + ids[147] + "&take=100", ids[148:], "from=" + last + "&take=100"},
		"the end":            {"from=" + last + "&take=7", nil, "from=" + last + "&take=7"},
		"a future id":        {"from=" + future, nil, "from=" + future + "&take=50"},
		"others are ignored": {"take=1&sort=date:1&page=40&per_page=900&q=nonsense:x&fields=type&include_totals=true&from=" + ids[0], ids[1:2], "from=" + ids[1] + "&take=1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.get("/api/v2/logs?" + tc.query)
			if diff := cmp.Diff(append([]string{}, tc.want...), c.ids(a)); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(base+"/api/v2/logs?"+tc.next, c.next(a)); diff != "" {
				t.Errorf("next (-want +got):\n%s", diff)
			}
			if got := a.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func TestCheckpointRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Retention: 24 * time.Hour})
	c := login(t, s)
	const gone = `Bad Request {"statusCode":400,"error":"Bad Request","message":"The log_id in 'from' is invalid or no longer available","errorCode":"invalid_query_string"}`
	take := func(text string) string {
		return `Bad Request {"statusCode":400,"error":"Bad Request","message":"Query validation error: '` + text +
			`' on property take (Entries to retrieve).","errorCode":"invalid_query_string"}`
	}
	id := early()
	tests := map[string]struct{ query, want string }{
		"older than the retention": {"from=" + event.IDAt(time.Now().Add(-25*time.Hour)), gone},
		"malformed":                {"from=123", gone},
		"not a number":             {"from=" + strings.Repeat("x", 56), gone},
		"no such time":             {"from=900" + strings.Repeat("9", 53), gone},
		"take too large":           {"from=" + id + "&take=101", take("Value 101 is greater than maximum 100")},
		"take too small":           {"from=" + id + "&take=0", take("Value 0 is less than minimum 1")},
		"take is text":             {"from=" + id + "&take=many", take("Expected type integer but found type string")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, c.get("/api/v2/logs?"+tc.query).text()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogByID(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	history(t, s, 20)
	if err := s.Append([]byte(`{"log_id":"a/b c","type":"s"}`)); err != nil {
		t.Fatal(err)
	}
	c := login(t, s)
	if diff := cmp.Diff(texts(s)[7], string(c.get("/api/v2/logs/"+idsOf(t, s)[7]).body)); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(`OK {"log_id":"a/b c","type":"s"}`, c.get("/api/v2/logs/a%2Fb%20c").text()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	want := `Not Found {"statusCode":404,"error":"Not Found","message":"Log not found","errorCode":"inexistent_log"}`
	for _, id := range []string{"123", early()} {
		if diff := cmp.Diff(want, c.get("/api/v2/logs/"+id).text()); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	}
}

func TestElsewhereIsNothing(t *testing.T) {
	t.Parallel()
	c := login(t, start(t, tenant.Options{}))
	want := `Not Found {"statusCode":404,"error":"Not Found","message":"Not Found"}`
	for _, target := range []string{"/", "/api/v2/actions", "/api/v2/clients/a/keys", "/api/v2/logs/a/b", "/authorize"} {
		if diff := cmp.Diff(want, c.get(target).text()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	if a := c.post("/api/v2/logs", "{}"); a.status != http.StatusNotFound {
		t.Errorf("POST: %s", a.text())
	}
}

// Ids of other forms keep the order in which they were appended.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	var want []string
	for i, id := range []string{"zebra", "apple", "5", "90020200123T15145913700000000000000000000000000000000000"} {
		want = append(want, fmt.Sprintf(`{"log_id":%q, "n":%d}`, id, i))
	}
	want = append(want, `{"_id":"only"}`)
	for _, raw := range want {
		if err := s.Append([]byte(" " + raw + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, texts(s)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	c := login(t, s)
	got := c.walk(from("zebra"))
	if diff := cmp.Diff(want[1:], got[:4]); diff != "" || len(got) != 5 {
		t.Errorf("%d events behind the first one (-want +got):\n%s", len(got), diff)
	}
	if a := c.get("/api/v2/logs?from=unknown"); a.status != http.StatusBadRequest {
		t.Errorf("unknown id: %s", a.text())
	}
}

// A foreign id stays between the ones that it was appended between.
func TestForeignAmongUsual(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	one, two, three := event.IDAt(time.Now().Add(-3*time.Minute)), event.IDAt(time.Now().Add(-2*time.Minute)), event.IDAt(time.Now().Add(-time.Minute))
	for _, id := range []string{one, "foreign", three, two} {
		if err := s.Append(fmt.Appendf(nil, `{"log_id":%q}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{one, "foreign", two, three}, idsOf(t, s)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	c := login(t, s)
	for id, want := range map[string]string{one: "foreign", "foreign": two, two: three} {
		if got := c.ids(c.get("/api/v2/logs?take=1&from=" + id)); len(got) != 1 || got[0] != want {
			t.Errorf("behind %s: %v, want %s", id, got, want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	id := event.IDAt(time.Now())
	for _, raw := range []string{fmt.Sprintf(`{"log_id":%q}`, id), `{"log_id":"a"}`} {
		if err := s.Append([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	for _, raw := range []string{fmt.Sprintf(`{"log_id":%q}`, id), `{"log_id":"a"}`, `{"type":"s"}`, `[]`, `{`, ``} {
		if err := s.Append([]byte(raw)); err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
	if s.Len() != 2 {
		t.Errorf("%d events", s.Len())
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, tenant.Options{Plan: tenant.Free})
		login(t, s)
		history(t, s, 600)
		if err := s.Append([]byte(`{"log_id":"foreign"}`)); err != nil {
			t.Fatal(err)
		}
		first := idsOf(t, s)[0]
		<-time.After(23*time.Hour + 30*time.Minute)
		if n := s.Len(); n < 280 || n > 320 {
			t.Errorf("%d events are left, want about 300, the token's and the appended one", n)
		}
		c := login(t, s)
		if a := c.get("/api/v2/logs?from=" + first); a.status != http.StatusBadRequest {
			t.Errorf("from an expired id: %s", a.text())
		}
		<-time.After(time.Hour)
		if diff := cmp.Diff(map[string]int{"seccft": 1}, types(t, s)); diff != "" {
			t.Errorf("what is left (-want +got):\n%s", diff)
		}
	})
}

// TestServeExpired asks from an id older than the retention of a tenant that
// serves such ids: the answer begins with the oldest event kept.
func TestServeExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, tenant.Options{Plan: tenant.Free, ServeExpired: true})
		login(t, s)
		history(t, s, 600)
		first := idsOf(t, s)[0]
		<-time.After(23*time.Hour + 30*time.Minute)
		c := login(t, s)
		kept := idsOf(t, s)
		got := c.ids(c.get("/api/v2/logs?take=5&from=" + first))
		if diff := cmp.Diff(kept[:5], got); diff != "" || kept[0] == first {
			t.Errorf("from an expired id (-want +got):\n%s", diff)
		}
	})
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, tenant.Options{Delay: 10 * time.Second})
		c := login(t, s) // its own event is late too
		a := c.get("/api/v2/logs?from=" + early())
		if got := c.ids(a); len(got) != 0 || s.Len() != 1 {
			t.Errorf("at once: %v of %d", got, s.Len())
		}
		if got := c.ids(c.get("/api/v2/logs")); len(got) != 0 {
			t.Errorf("search at once: %v", got)
		}
		<-time.After(11 * time.Second)
		if got := c.ids(c.get("/api/v2/logs?from=" + early())); len(got) != 1 {
			t.Errorf("later: %v", got)
		}
	})
}

func TestAppendLate(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	history(t, s, 100)
	c := login(t, s)
	ids := idsOf(t, s)
	late, err := s.AppendLate(30 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	after := idsOf(t, s)
	if len(after) != 102 || !isSorted(after) || after[101] != ids[100] {
		t.Errorf("the late event is not in its place: %v", after)
	}
	if got := c.walk(from(ids[100])); len(got) != 0 {
		t.Errorf("behind the last one: %v", got)
	}
	overlap := c.walk(from(event.IDAt(time.Now().Add(-time.Minute))))
	if !slices.Contains(overlap, string(late)) {
		t.Error("re-reading the last minute does not bring the late event")
	}
}

func BenchmarkPage(b *testing.B) {
	s := start(b, tenant.Options{MeanSize: 1500})
	history(b, s, 50_000)
	c := login(b, s)
	id := idsOf(b, s)[25_000]
	b.ReportAllocs()
	for b.Loop() {
		c.get("/api/v2/logs?take=100&from=" + id)
	}
}
