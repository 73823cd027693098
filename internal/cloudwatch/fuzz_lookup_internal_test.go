package cloudwatch

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
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

// holding is an endpoint whose streams hold what a text says, and which takes what
// is sent.
type holding struct {
	stream string // the answer to GetLogEvents
	sent   map[string]bool
}

// Do implements aws.HTTPClient.
func (h holding) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer := "{}"
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetLogEvents") {
		answer = h.stream
	} else {
		var in struct {
			LogEvents []struct{ Message string }
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		for _, e := range in.LogEvents {
			h.sent[messageKey([]byte(e.Message))] = true
		}
	}
	return said{status: http.StatusOK, header: http.Header{}, body: answer}.Do(r)
}

// FuzzLookup lets a stream hold anything: no event of a batch in doubt is taken for
// delivered unless a message of the stream holds it.
func FuzzLookup(f *testing.F) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	f.Add(`{"events":[{"message":"{\"log_id\":\"0\"}","timestamp":1795424400000}],"nextForwardToken":"f/1"}`)
	f.Add(`{"events":[{"message":"{\"log_id\":\"1\",\"log_id\":\"0\"}"},{"message":"[{\"log_id\":\"2\"}]"},{"message":null},{}],"nextForwardToken":null}`)
	f.Add(`{"events":[{"message":"0"},{"message":"\ud800"}],"nextForwardToken":"\u001b"}`)
	f.Add(`{"events":7}`)
	f.Add("<html>")
	batch := pipeline.Batch{Destination: pipeline.Destination{LogGroup: "/g", LogStream: "s"}, Doubt: pipeline.Doubt{From: now, Until: now}}
	for i := range 3 {
		id := strconv.Itoa(i)
		batch.Events = append(batch.Events, event.Event{LogID: id, Date: time.Now(), Type: "s", Raw: fmt.Appendf(nil, `{"log_id":%q,"type":"s"}`, id)})
	}
	f.Fuzz(func(t *testing.T, stream string) {
		c := DefaultConfig()
		c.Region, c.Create, c.InDoubtWait, c.Compression = "us-east-1", false, 0, CompressNone
		h := holding{stream: stream, sent: make(map[string]bool)}
		sink, err := New(t.Context(), c, Deps{
			HTTPClient: h, Logger: slog.New(slog.DiscardHandler), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := sink.Deliver(t.Context(), batch)
		if err != nil {
			checkError(t, err)
			return
		}
		left := make(map[int]bool)
		for _, r := range receipt.Rejected {
			left[r.Index] = true
		}
		for _, i := range receipt.Retry {
			left[i] = true
		}
		for i, e := range batch.Events {
			if key := messageKey(e.Raw); !left[i] && !h.sent[key] && !holds(stream, key) {
				t.Errorf("event %d was not sent, and is not in %s", i, stream)
			}
		}
	})
}

// holds reports whether an answer of GetLogEvents has a message of a key.
func holds(stream, key string) bool {
	var out struct {
		Events []struct{ Message any }
	}
	if err := json.NewDecoder(strings.NewReader(stream)).Decode(&out); err != nil { // as the SDK does, which leaves the rest unread
		return false
	}
	for _, e := range out.Events {
		if text, ok := e.Message.(string); ok && messageKey([]byte(text)) == key {
			return true
		}
	}
	return false
}

// FuzzBlotOut holds that a text shows no secret that was sent, nor what follows the
// names under which AWS quotes them, and that it fits on a line.
func FuzzBlotOut(f *testing.F) {
	const token, key = "IQoJb3JpZ2luX2VjEXAMPLE+/==", "wJalrXUtnFEMIEXAMPLE"
	f.Add("'POST\n/\n\nhost:x\nx-amz-security-token:", "\n\nhost'")
	f.Add("Value '", "' at 'logEvents'")
	f.Add("\"SecretAccessKey\" : \"", "\"}")
	f.Add("eyJhbGciOiJIUzI1NiJ9.", "\x1b[2J\u009b")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, token) || strings.Contains(before+after, key) {
			return
		}
		for _, text := range []string{
			before + token + after, before + token + token + after,
			before + " secretAccessKey=" + key + " " + after, before + "\nx-amz-security-token:" + key + "\n" + after,
		} {
			shown := clean(blotOut(text, []string{token}))
			if strings.Contains(shown, token) || strings.Contains(shown, key) || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q is shown as %q", text, shown)
			}
		}
	})
}
