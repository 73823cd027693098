package cloudwatch_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// endless is an HTTP client whose answers never end.
type endless struct {
	status int
	text   string // what they begin with; then there is one letter
	read   atomic.Int64
}

// Do implements aws.HTTPClient.
func (e *endless) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: e.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Request: req, ContentLength: -1,
		Body: io.NopCloser(&letters{endless: e}),
	}, nil
}

// someLetters is what such an answer repeats.
var someLetters = bytes.Repeat([]byte{'a'}, 4096)

// letters is the body of such an answer.
type letters struct {
	*endless

	begun bool
}

// Read implements io.Reader.
func (s *letters) Read(p []byte) (n int, err error) {
	defer func() { s.read.Add(int64(n)) }()
	if !s.begun {
		s.begun = true
		return copy(p, s.text), nil
	}
	for n < len(p) { // a copy, for the race detector looks at each write
		n += copy(p[n:], someLetters)
	}
	return n, nil
}

// TestAnswersAreBounded has answers without end: they are errors after 16 MiB. What
// a call has done whose answer is one of them is not known.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]*endless{
		"success": {status: http.StatusOK, text: `{"rejectedLogEventsInfo":"`},
		"error":   {status: http.StatusInternalServerError, text: `{"__type":"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := cloudwatch.New(t.Context(), config(), cloudwatch.Deps{
				HTTPClient: e, Logger: slog.New(slog.DiscardHandler), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""), Tenant: "dev",
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Deliver(t.Context(), batch(ev("a", time.Now())))
			if c := pipeline.Classify(err); err == nil || c.Class != pipeline.Transient || !c.OutcomeUnknown {
				t.Errorf("error %v of class %v, outcome unknown %t", err, c.Class, c.OutcomeUnknown)
			}
			if n := e.read.Load(); n > 4*16<<20 { // by the call, and those that find out about gzip
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}
