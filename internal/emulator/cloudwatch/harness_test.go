package cloudwatch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A bench is a server with the real SDK in front of it.
type bench struct {
	*logs.Client
	t      *testing.T
	server *cloudwatch.Server
}

const (
	group  = "/auth0/dev-tenant"
	stream = "logs"
)

// newBench starts a server without keys, with one group and one stream.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := newBenchWith(t, cloudwatch.Options{})
	b.createGroup(group)
	b.createStream(group, stream)
	return b
}

func newBenchWith(t *testing.T, o cloudwatch.Options) *bench {
	t.Helper()
	server, err := cloudwatch.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &bench{Client: newClient(server, "AKIDEXAMPLE", "secret"), t: t, server: server}
}

// newClient returns the SDK's client, which tries every call once.
func newClient(server http.Handler, id, secret string) *logs.Client {
	return logs.New(logs.Options{
		Region:           "eu-central-1",
		BaseEndpoint:     aws.String("http://logs.example.com"),
		Credentials:      credentials.NewStaticCredentialsProvider(id, secret, ""),
		HTTPClient:       &http.Client{Transport: emulator.Transport(server)},
		RetryMaxAttempts: 1,
	})
}

func (b *bench) createGroup(name string) {
	b.t.Helper()
	_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: &name})
	b.must(err)
}

func (b *bench) createStream(group, name string) {
	b.t.Helper()
	_, err := b.CreateLogStream(b.t.Context(), &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name})
	b.must(err)
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("unexpected error: %v", err)
	}
}

// put stores messages one second apart, the last one a minute ago.
func (b *bench) put(messages ...string) []types.InputLogEvent {
	b.t.Helper()
	begin := time.Now().Add(-time.Minute - time.Duration(len(messages))*time.Second)
	events := make([]types.InputLogEvent, len(messages))
	for i, m := range messages {
		events[i] = event(begin.Add(time.Duration(i)*time.Second), m)
	}
	b.putEvents(stream, events...)
	return events
}

func (b *bench) putEvents(stream string, events ...types.InputLogEvent) *logs.PutLogEventsOutput {
	b.t.Helper()
	out, err := b.tryPut(stream, events...)
	b.must(err)
	return out
}

func (b *bench) tryPut(stream string, events ...types.InputLogEvent) (*logs.PutLogEventsOutput, error) {
	return b.PutLogEvents(b.t.Context(), &logs.PutLogEventsInput{
		LogGroupName: aws.String(group), LogStreamName: &stream, LogEvents: events,
	})
}

func event(at time.Time, message string) types.InputLogEvent {
	return types.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli()), Message: &message}
}

// all returns the messages of the group as FilterLogEvents shows them.
func (b *bench) all() []string {
	b.t.Helper()
	out, err := b.FilterLogEvents(b.t.Context(), &logs.FilterLogEventsInput{LogGroupName: aws.String(group)})
	b.must(err)
	var messages []string
	for _, e := range out.Events {
		messages = append(messages, *e.Message)
	}
	return messages
}

// wantError checks code and message of an error; a message that ends with an
// ellipsis is the beginning of the real one.
func (b *bench) wantError(err error, code, message string) {
	b.t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		b.t.Fatalf("got %v; want %s", err, code)
	}
	checkError(b.t, api.ErrorCode(), api.ErrorMessage(), code, message)
}

func checkError(t *testing.T, gotCode, gotMessage, code, message string) {
	t.Helper()
	prefix, cut := strings.CutSuffix(message, "…")
	if gotCode != code || cut && !strings.HasPrefix(gotMessage, prefix) || !cut && gotMessage != message {
		t.Errorf("got %s: %s\nwant %s: %s", gotCode, gotMessage, code, message)
	}
}

// An answer is what the server says to a request of the raw protocol.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// first returns the first element of a list of the answer; nil if there is none.
func (a answer) first(list string) map[string]any {
	elements, _ := a.body[list].([]any)
	if len(elements) == 0 {
		return nil
	}
	element, _ := elements[0].(map[string]any)
	return element
}

// raw sends a body that the SDK would not send.
func (b *bench) raw(op, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://logs.example.com/", strings.NewReader(body))
	b.must(err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Logs_20140328."+op)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return b.send(req)
}

func (b *bench) send(req *http.Request) answer {
	b.t.Helper()
	resp, err := emulator.Transport(b.server).RoundTrip(req)
	b.must(err)
	defer func() { b.must(resp.Body.Close()) }()
	var buf bytes.Buffer
	_, err = buf.ReadFrom(resp.Body)
	b.must(err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: buf.String()}
	_ = json.Unmarshal(buf.Bytes(), &a.body) // not every answer is JSON
	return a
}

func (b *bench) wantRaw(a answer, code, message string) {
	b.t.Helper()
	if a.status != http.StatusBadRequest {
		b.t.Errorf("status %d; want 400", a.status)
	}
	text, _ := a.body["message"].(string)
	checkError(b.t, fmt.Sprint(a.body["__type"]), text, code, message)
}

// run runs named checks, each with a server of its own.
func run(t *testing.T, checks map[string]func(*bench)) {
	t.Helper()
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newBench(t))
		})
	}
}
