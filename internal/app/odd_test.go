package app_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
)

// The marks by which odd events are told.
const (
	poisonMark = "POISON"  // CloudWatch Logs refuses the call
	hugeMark   = "HUGE"    // more than an event may have
	brokenMark = "broken " // a record that is no event, behind one that is
)

// oddities adds to a site what does not go the usual way.
type oddities struct {
	site *site

	mu     sync.Mutex
	n      int             // events added
	late   map[string]bool // log_ids that turned up below others
	broken map[string]bool // records that were served
	gone   map[string]int  // messages that were delivered to a group that was deleted
}

// odd puts the oddities of a site in the way of its requests.
func (w *world) odd(s *site) *oddities {
	o := &oddities{site: s, late: make(map[string]bool), broken: make(map[string]bool), gone: make(map[string]int)}
	w.hosts[s.name+".example.com"] = emulator.Transport(o.breakPages(s.tenant))
	w.hosts["logs-"+s.name+".example.com"] = emulator.Transport(o.refusePoison(s.watch(s.cloudwatch)))
	return o
}

// add lets a few odd things happen.
func (o *oddities) add(rt *rapid.T, huge bool) {
	for range rapid.IntRange(0, 3).Draw(rt, "late events") {
		raw, err := o.site.tenant.AppendLate(time.Duration(rapid.IntRange(0, 600).Draw(rt, "late by s")) * time.Second)
		if err != nil {
			rt.Fatal(err)
		}
		o.noteLate(idOf(raw))
	}
	for range rapid.IntRange(0, 2).Draw(rt, "poisonous events") {
		o.append(rt, poisonMark, `{}`)
	}
	if huge && rapid.Bool().Draw(rt, "a huge event") {
		o.append(rt, hugeMark, `{"request":"`+strings.Repeat("é\\\"", 265_000)+`"}`)
	}
}

// append adds an event of the moment to the tenant.
func (o *oddities) append(rt *rapid.T, mark, details string) {
	o.n++
	now := time.Now()
	id := event.IDAt(now)
	tail := strconv.Itoa(o.n)
	id = id[:len(id)-len(tail)] + tail
	o.noteLate(id) // it stands below the others of the same moment
	raw := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s","description":%q,"details":%s}`,
		id, now.UTC().Format("2006-01-02T15:04:05.000Z"), mark, details)
	if err := o.site.tenant.Append([]byte(raw)); err != nil {
		rt.Fatal(err)
	}
}

// noteLate remembers that an event may turn up below others.
func (o *oddities) noteLate(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late[id] = true
}

// breakPages puts a record that is no event behind some events, the same ones
// each time that they are served by checkpoint.
func (o *oddities) breakPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("from") {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		defer func() { // also on the way of a panic that drops the connection
			body := o.broke(rec.Body.Bytes())
			maps.Copy(w.Header(), rec.Header())
			if len(body) != rec.Body.Len() {
				w.Header().Del("Content-Length")
			}
			if rec.Flushed || len(body) > 0 {
				w.WriteHeader(rec.Code)
				_, _ = w.Write(body)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// broke returns a page with its broken records.
func (o *oddities) broke(page []byte) []byte {
	if !gjson.ValidBytes(page) || page[0] != '[' {
		return page
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for _, r := range gjson.ParseBytes(page).Array() {
		out = append(out, r.Raw)
		id := idOf([]byte(r.Raw))
		h := fnv.New32()
		_, _ = io.WriteString(h, id)
		if h.Sum32()%16 == 0 && !o.late[id] {
			record := fmt.Sprintf("%q", brokenMark+id)
			o.broken[record] = true
			out = append(out, record)
		}
	}
	return []byte("[" + strings.Join(out, ",") + "]")
}

// refusePoison refuses calls that hold a poisonous event, as CloudWatch Logs does
// when it cannot take what a call holds.
func (o *oddities) refusePoison(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cloudwatch.Operation(r) == "PutLogEvents" {
			body, err := io.ReadAll(r.Body)
			if err == nil && bytes.Contains(body, []byte(poisonMark)) {
				w.Header().Set("X-Amzn-Errortype", "InvalidParameterException")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"__type":"InvalidParameterException","message":"Log event message is invalid"}`)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

// idOf reads the log_id of an event.
func idOf(raw []byte) string {
	if id := gjson.GetBytes(raw, "log_id"); id.Exists() {
		return id.String()
	}
	return gjson.GetBytes(raw, "_id").String()
}
