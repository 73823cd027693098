package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// A webhookBody is a body, and what becomes of it.
type webhookBody struct {
	body    string
	header  map[string]string
	events  int      // of those of joined
	letters []string // the pieces kept, as they are
}

func webhookBodies(tb testing.TB) map[string]webhookBody {
	tb.Helper()
	array, lines, object := joined("[", ",", "]", 3), joined("", "\n", "\n", 3), joined(`{"logs":[`, ",", "]}", 3)
	gz, lies := map[string]string{"Content-Encoding": "gzip"}, map[string]string{"Content-Type": "text/plain"}
	cutZip := zipped(tb, array)[:200]
	badSum := []byte(zipped(tb, array))
	badSum[len(badSum)-5] ^= 1
	return map[string]webhookBody{
		"array":                    {array, nil, 3, nil},
		"array over lines":         {joined("[\n  ", ",\n  ", "\n]\n", 3), nil, 3, nil},
		"lines":                    {lines, nil, 3, nil},
		"lines without the last":   {strings.TrimSuffix(lines, "\n"), nil, 3, nil},
		"lines of Windows":         {joined("", "\r\n", "\r\n", 3), nil, 3, nil},
		"object with logs":         {object, nil, 3, nil},
		"one record":               {pushed(0), nil, 1, nil},
		"bare records":             {"[" + pushedData(0) + "," + pushedData(1) + "]", nil, 2, nil},
		"any type":                 {array, lies, 3, nil},
		"byte order mark":          {"\xef\xbb\xbf" + array, nil, 3, nil},
		"space in front":           {strings.Repeat(" \n", 50_000) + array, nil, 3, nil},
		"gzip":                     {zipped(tb, array), gz, 3, nil},
		"gzip of lines":            {zipped(tb, lines), gz, 3, nil},
		"gzip in two members":      {zipped(tb, pushed(0)+"\n") + zipped(tb, pushed(1)), gz, 2, nil},
		"gzip that nobody told of": {zipped(tb, object), lies, 3, nil},
		"told of gzip, is plain":   {array, gz, 3, nil},
		"many":                     {joined("[", ",", "]", 2000), nil, 2000, nil},
		"many in gzip":             {zipped(tb, joined("", "\n", "", 2000)), gz, 2000, nil},
		"twice in one":             {"[" + pushed(0) + "," + pushed(0) + "]", nil, 1, nil},
		"empty array":              {"[]", nil, 0, nil},
		"no logs":                  {`{"logs":[]}`, nil, 0, nil},
		"empty":                    {"", nil, 0, nil},
		"space":                    {" \r\n", nil, 0, nil},
		"empty in gzip":            {zipped(tb, ""), gz, 0, nil},
		"one broken":               {"[" + pushed(0) + `,{"log_id":"x",},` + pushed(1) + "]", nil, 2, []string{`{"log_id":"x",}`}},
		"no object":                {"[" + pushed(0) + `,17,` + pushed(1) + "]", nil, 2, []string{"17"}},
		"a broken line":            {pushed(0) + "\n{\"log_id\n" + pushed(1), nil, 2, []string{`{"log_id`}},
		"ends too early":           {"[" + pushed(0) + "," + pushed(1)[:100], nil, 1, []string{pushed(1)[:100]}},
		"HTML":                     {"<html>busy</html>", nil, 0, []string{"<html>busy</html>"}},
		"a text":                   {`"hello"`, nil, 0, []string{`"hello"`}},
		"a form":                   {"log_id=1&data=2", nil, 0, []string{"log_id=1&data=2"}},
		"bytes":                    {"\x00\xff\xfe", nil, 0, []string{"\x00\xff\xfe"}},
		"HTML in gzip":             {zipped(tb, "<html>"), gz, 0, []string{"<html>"}},
		"gzip cut":                 {cutZip, gz, 0, []string{cutZip}},
		"gzip with a wrong sum":    {string(badSum), gz, 3, []string{string(badSum)}},
		"only the first of gzip":   {"\x1f\x8b", gz, 0, []string{"\x1f\x8b"}},
		"gzip and then not":        {zipped(tb, array) + "junk", gz, 3, []string{zipped(tb, array) + "junk"}},
	}
}

// TestWebhookBodies pushes bodies of every form, whole and broken: each is
// answered 200, since Auth0 would send a bad one for ever, and nothing of any is
// lost.
func TestWebhookBodies(t *testing.T) {
	t.Parallel()
	for name, b := range webhookBodies(t) {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/", chunked), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { b.check(t, chunked) })
			})
		}
	}
}

// check pushes the body.
func (b webhookBody) check(t *testing.T, chunked bool) {
	t.Helper()
	disk, w := new(pipelinetest.Pages), newWebhook(t)
	runWebhook(t, w, disk)
	r := push(t.Context(), strings.NewReader(b.body))
	if chunked {
		r.ContentLength = -1
	}
	for k, v := range b.header {
		r.Header.Set(k, v)
	}
	rec := ask(w, r)
	if rec.Code != http.StatusOK || rec.Body.Len() > 0 {
		t.Errorf("answered %d %q", rec.Code, rec.Body)
	}
	want := make(map[string]string)
	for i := range b.events {
		want[pushedID(i)] = pushedData(i)
	}
	got, letters := make(map[string]string), []string(nil)
	for _, p := range disk.All() {
		for _, e := range p.Events {
			got[e.LogID] = string(e.Raw)
		}
		for _, u := range p.Unreadable {
			letters = append(letters, string(u.Raw))
			if u.Reason == "" {
				t.Error("a dead letter without a reason")
			}
		}
		if p.Cursor != "" || !p.CaughtUp {
			t.Errorf("a page with cursor %q, caught up %t", p.Cursor, p.CaughtUp)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(b.letters, letters); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
}

// TestWebhookIsStreamed sees the first pages of a body on disk before the last of
// it has come, and a body that turns out too large refused.
func TestWebhookIsStreamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t, func(c *source.WebhookConfig) { c.MaxBody = 3 << 20 })
		disk := new(pipelinetest.Pages)
		runWebhook(t, w, disk)
		in, out := io.Pipe()
		answered := make(chan int, 1)
		go func() { answered <- ask(w, push(t.Context(), in)).Code }()
		n := 0
		for size := 0; size < 5<<19; n++ { // 2.5 MiB
			k, err := io.WriteString(out, pushed(n)+"\n")
			if err != nil {
				t.Fatal(err)
			}
			size += k
		}
		synctest.Wait()
		if got := len(disk.IDs()); got < n/2 || got >= n {
			t.Errorf("%d of %d events are on disk, want most and not all", got, n)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if code := <-answered; code != http.StatusOK || len(disk.IDs()) != n {
			t.Errorf("answered %d with %d of %d events", code, len(disk.IDs()), n)
		}
		for name, body := range map[string]string{
			"plain": strings.Repeat(pushed(0)+"\n", 8000), "gzip": zipped(t, strings.Repeat(pushed(0)+"\n", 8000)),
			"of space": strings.Repeat(" ", 4<<20), "of one record": `{"a":"` + strings.Repeat("x", 4<<20) + `"}`, "no JSON in gzip": zipped(t, strings.Repeat("x", 4<<20)),
		} {
			r := push(t.Context(), strings.NewReader(body))
			r.ContentLength = -1
			if code := ask(w, r).Code; code != http.StatusRequestEntityTooLarge {
				t.Errorf("a larger one, %s: %d", name, code)
			}
		}
	})
}

// FuzzWebhookBody pushes anything: it is answered 200, and what is kept is what
// event.ParsePage finds in it.
func FuzzWebhookBody(f *testing.F) {
	for _, b := range webhookBodies(f) {
		if len(b.body) < 4<<10 {
			f.Add([]byte(b.body))
		}
	}
	w := newWebhook(f)
	var at atomic.Pointer[pipelinetest.Pages] // the disk of the body at hand
	at.Store(new(pipelinetest.Pages))         // and of what Run says by itself, after a minute
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan error, 1)
	go func() {
		done <- w.Run(ctx, "", func(ctx context.Context, p event.Page) error { return at.Load().Emit(ctx, p) })
	}()
	f.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			f.Errorf("Run returned %v", err)
		}
	})
	for ask(w, push(ctx, strings.NewReader(""))).Code != http.StatusOK {
		runtime.Gosched() // Run is about to take requests
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		disk := new(pipelinetest.Pages)
		at.Store(disk)
		code := ask(w, push(t.Context(), bytes.NewReader(body))).Code
		var got event.Page
		for _, p := range disk.All() {
			got.Events = append(got.Events, p.Events...)
			got.Unreadable = append(got.Unreadable, p.Unreadable...)
		}
		if bytes.HasPrefix(body, []byte("\x1f\x8b")) {
			bomb := code == http.StatusRequestEntityTooLarge
			if code != http.StatusOK && !bomb {
				t.Errorf("gzip answered %d", code)
			}
			return
		}
		if code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
		want, err := event.ParsePage(body, time.Time{})
		if errors.Is(err, event.ErrNoEvents) {
			if content := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n"); len(content) > 0 {
				want = event.Page{Unreadable: []event.Unreadable{{Raw: body, Reason: event.ErrNoEvents.Error()}}}
			}
		}
		opts := cmp.Options{cmpopts.IgnoreFields(event.Event{}, "Date"), cmpopts.EquateEmpty()}
		if diff := cmp.Diff(event.Page{Events: want.Events, Unreadable: want.Unreadable}, got, opts); diff != "" && !wasted(body) {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
	})
}

// wasted reports whether a body may be one that was made to be broken in as many
// places as possible, of which the pieces may be cut otherwise.
func wasted(body []byte) bool {
	return slices.Max([]int{bytes.Count(body, []byte("{")), bytes.Count(body, []byte("["))}) > 16
}
