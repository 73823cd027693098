package cloudwatch

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// said is an endpoint that gives the same answer to every call.
type said struct {
	status int
	header http.Header
	body   string
}

// Do implements aws.HTTPClient.
func (s said) Do(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.header, Body: io.NopCloser(strings.NewReader(s.body)), ContentLength: int64(len(s.body)), Request: r,
	}, nil
}

// FuzzAnswer lets an endpoint answer anything: each event of a batch is delivered,
// rejected or to be tried again, in a receipt that names no other, or the error
// fits on a line.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "", "", `{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"tooNewLogEventStartIndex":2,"expiredLogEventEndIndex":9}}`)
	f.Add(200, "", "", `{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":-2147483648,"tooNewLogEventStartIndex":2147483647}}`)
	f.Add(400, "ThrottlingException", "5", `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
	f.Add(400, "", "99999999999999", `{"__type":"com.amazonaws#InvalidParameterException:http://x/","Message":"Value '{\"user\":\"x' at 'y' failed"}`)
	f.Add(400, "\x1b[31mX", "Fri, 31 Dec 9999 23:59:59 GMT", "{\"__type\":\"\u009b\x1b]0;\x07\",\"message\":\"\u202e\x1b[2J\"}")
	f.Add(400, "", "", `{"__type":"\u001b[31mX\u009b","message":"\u202e\u001b]0;title\u0007"}`)
	f.Add(500, "", "", "<html>")
	f.Add(200, "", "", `{"events":[{"message":"{\"log_id\":\"a\"}","timestamp":1e99}],"nextForwardToken":"f/1"}`)
	now := time.Now().UTC().Truncate(time.Millisecond)
	batch := pipeline.Batch{Destination: pipeline.Destination{LogGroup: "/g", LogStream: "s"}}
	for i, age := range []time.Duration{20 * 24 * time.Hour, time.Hour, time.Minute, 0} {
		raw := fmt.Sprintf(`{"log_id":"%d","date":%q,"type":"s"}`, i, now.Add(-age).Format(time.RFC3339Nano))
		batch.Events = append(batch.Events, event.Event{LogID: strconv.Itoa(i), Date: now.Add(-age), Type: "s", Raw: []byte(raw)})
	}
	f.Fuzz(func(t *testing.T, status int, code, retry, body string) {
		c := DefaultConfig()
		c.Region, c.Create, c.InDoubtWait, c.Compression = "us-east-1", false, 0, CompressNone
		answer := said{status: 200 + ((status-200)%400+400)%400, header: http.Header{"X-Amzn-Errortype": {code}, "Retry-After": {retry}}, body: body}
		sink, err := New(t.Context(), c, Deps{HTTPClient: answer, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := sink.Deliver(t.Context(), batch)
		if err != nil {
			checkError(t, err)
			return
		}
		named := make(map[int]bool)
		for _, r := range receipt.Rejected {
			if named[r.Index] || r.Index < 0 || r.Index >= len(batch.Events) || r.Reason == "" {
				t.Errorf("rejection %+v", r)
			}
			checkText(t, r.Detail)
			named[r.Index] = true
		}
		for _, i := range receipt.Retry {
			if named[i] || i < 0 || i >= len(batch.Events) {
				t.Errorf("%d is to be tried again, and %v were named", i, named)
			}
			named[i] = true
		}
	})
}

// checkError checks an error of the sink.
func checkError(t *testing.T, err error) {
	t.Helper()
	checkText(t, err.Error())
	e := pipeline.Classify(err)
	checkText(t, e.Hint)
	if e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter {
		t.Errorf("to be tried again after %s", e.RetryAfter)
	}
}

// checkText checks that a text can stand in a log line and on a terminal.
func checkText(t *testing.T, s string) {
	t.Helper()
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || len(s) > 2000 {
		t.Errorf("not fit for a line: %q", s)
	}
}

// FuzzRetryAfter holds that no header makes the sink wait for longer than its
// bound, and that one beyond the bound is not taken for none.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"5", "-1", "9223372037", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "1.5", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := retryAfter(http.Header{"Retry-After": {text}}, time.Now())
		if d < 0 || d > maxRetryAfter {
			t.Errorf("a wait of %s for %q", d, text)
		}
		var s int
		if n, err := fmt.Sscanf(text, "%d", &s); err == nil && n == 1 && strconv.Itoa(s) == text && s > 300 && d != maxRetryAfter {
			t.Errorf("a wait of %s for %q", d, text)
		}
	})
}

// FuzzMessageKey holds that the key of a message of a stream, which may be
// anybody's, is that of the event in it alone.
func FuzzMessageKey(f *testing.F) {
	f.Add([]byte(`{"log_id":"a","date":"2026-11-23T09:00:00.000Z","type":"s"}`))
	f.Add([]byte("START RequestId: 1\n"))
	f.Add([]byte(`[{"log_id":"a"},{"log_id":"b"}]`))
	f.Add([]byte(`{"logs":[{"log_id":"a"}]}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		if key := messageKey(message); key == "" && len(message) > 0 {
			t.Errorf("no key for %q", message)
		}
	})
}
