package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// allStreams lists the log streams of a group by the API of the emulator.
func (s *site) allStreams(t *testing.T, group string) (names []string) {
	t.Helper()
	token := ""
	for {
		body, err := json.Marshal(map[string]string{"logGroupName": group, "nextToken": token})
		if err != nil {
			t.Fatal(err)
		}
		if token == "" {
			body = []byte(`{"logGroupName":"` + group + `"}`)
		}
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/", bytes.NewReader(body))
		req.Header.Set("X-Amz-Target", "Logs_20140328.DescribeLogStreams")
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		rec := httptest.NewRecorder()
		s.cloudwatch.ServeHTTP(rec, req)
		answer := gjson.Parse(rec.Body.String())
		for _, name := range answer.Get("logStreams.#.logStreamName").Array() {
			names = append(names, name.String())
		}
		if token = answer.Get("nextToken").String(); token == "" {
			return names
		}
	}
}

// organisations puts an event of each of n organisations into the tenant's log, a
// success and a failure in turn, and returns their bytes by log_id.
func (s *site) organisations(t *testing.T, round, n int) map[string]string {
	t.Helper()
	raws := make(map[string]string)
	for i := range n {
		id, at := fmt.Sprintf("org-%03d-%04d", round, i), time.Now().UTC().Add(time.Duration(i)*time.Millisecond)
		raws[id] = fmt.Sprintf(`{ "log_id":%q,"date":%q,"type":%q,"organization_id":"org_%03d","severity":3,"details":{"request":{"ip":"192.0.2.%d"},"n":1.0e+02}}`,
			id, at.Format("2006-01-02T15:04:05.000Z"), []string{"s", "fp"}[i%2], i, i%250)
		if err := s.tenant.Append([]byte(raws[id])); err != nil {
			t.Fatal(err)
		}
	}
	return raws
}

// TestRoutedAndShaped has 300 organisations in a tenant whose log streams are named
// after them and the severity, of which there may be 50, or as many as there are:
// everything arrives, with its own bytes behind what was added, also through lost
// answers; the streams are as many as they may be, also after a restart.
func TestRoutedAndShaped(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]shapedStreams{
		50:  {streams: 52, others: 2},
		400: {streams: 301}, // with the one of the tenant's own events
	} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, t.TempDir(), tenant.Unlimited, "acme")
				defer w.close(t.Context(), t)
				s := w.sites[0]
				cw := &w.cfg.Tenants[0].CloudWatch
				cw.LogStream, cw.MaxStreams = "{severity}/{organization}", limit
				cw.Fields = map[string]string{"severity": "severity", "title": "type_title", "gapless.tenant": "tenant", "via": "source"}
				cw.Copy = map[string]string{"ip": "details.request.ip"}
				s.aws.Add(emulator.Fault{Match: "PutLogEvents", After: 10, Times: 20, Kind: emulator.FaultLost})
				raws := s.organisations(t, 0, 300)
				w.start(t.Context(), t)
				<-time.After(2 * time.Minute)
				w.stop(t.Context(), t, time.Minute)
				s.checkShaped(t, raws, want)
				w.start(t.Context(), t)
				maps.Copy(raws, s.organisations(t, 1, 300))
				<-time.After(2 * time.Minute)
				s.checkShaped(t, raws, want)
			})
		})
	}
}

// shapedStreams are how many log streams there are, and how many of them are for all
// others.
type shapedStreams struct{ streams, others int }

// checkShaped checks that each event is in a log stream of its severity, once, behind
// what was added to it, and how many streams there are.
func (s *site) checkShaped(t *testing.T, want map[string]string, made shapedStreams) {
	t.Helper()
	const group = "/auth0/acme"
	streams := s.allStreams(t, group)
	others, got := 0, make(map[string]string)
	for _, stream := range streams {
		severity, org, _ := strings.Cut(stream, "/")
		if org == "other" {
			others++
		}
		for _, e := range s.cloudwatch.Events(group, stream) {
			m := gjson.Parse(e.Message)
			id := m.Get("log_id").String()
			if !strings.HasPrefix(id, "org-") { // the tenant's own, of the exchange
				continue
			}
			if _, twice := got[id]; twice {
				t.Errorf("%s has arrived twice", id)
			}
			got[id] = strings.Replace(e.Message, addedTo(m), "{", 1)
			title := map[string]string{"info": "Success Login", "error": "Failed Login (Incorrect Password)"}[severity]
			if title == "" || m.Get("title").String() != title || m.Get("severity").Int() != 3 || org != "other" && m.Get("organization_id").String() != org {
				t.Errorf("in %s: %s", stream, e.Message)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages without what was added (-want +got):\n%.3000s", diff)
	}
	if n := (shapedStreams{len(streams), others}); n != made {
		t.Errorf("there are %+v, want %+v", n, made)
	}
}

// addedTo returns the beginning of a message with what was added.
func addedTo(m gjson.Result) string {
	var names []string
	m.ForEach(func(k, _ gjson.Result) bool { names = append(names, k.Str); return len(names) < 4 })
	if want := []string{"gapless.tenant", "title", "via", "ip"}; !slices.Equal(want, names) {
		return "no such beginning"
	}
	return fmt.Sprintf(`{"gapless.tenant":"acme","title":%s,"via":"poll","ip":%s,`, m.Get("title").Raw, m.Get("ip").Raw)
}

// TestFieldsAreChangedInDoubt kills a process, in a way, after its events have
// arrived and before it knows: the next one has other fields, finds them all the
// same, and sends nothing again.
func TestFieldsAreChangedInDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "acme")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		cw := &w.cfg.Tenants[0].CloudWatch
		want := s.organisations(t, 0, 120)
		lost := emulator.Fault{Match: "PutLogEvents", Times: 1, Kind: emulator.FaultLost}
		for round, fields := range []map[string]string{{"title": "type_title"}, {"stage": "text:prod", "via": "source"}, nil} {
			cw.Fields = fields
			s.aws.Add(lost)
			s.aws.Add(emulator.Fault{Match: "GetLogEvents", Times: -1, Kind: emulator.FaultCut})
			maps.Copy(want, s.organisations(t, 1+round, 50))
			w.start(t.Context(), t)
			<-time.After(20 * time.Second)
			w.stop(t.Context(), t, 10*time.Second)
			s.aws.Clear()
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		got, titled := make(map[string]int), 0
		for _, e := range s.stored() {
			got[gjson.Get(e.Message, "log_id").String()]++
			if gjson.Get(e.Message, "title").Exists() {
				titled++
			}
		}
		for id := range want {
			if got[id] != 1 {
				t.Errorf("%s is there %d times", id, got[id])
			}
		}
		if titled < 170 {
			t.Errorf("%d events have the title of the first process, by whose calls all of the first had arrived", titled)
		}
	})
}
