package cloudwatch

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// quoting is an endpoint whose error quotes the request in some form.
type quoting func(h http.Header) string

// Do implements aws.HTTPClient.
func (q quoting) Do(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	body, err := json.Marshal(map[string]string{"__type": "InvalidSignatureException", "message": q(r.Header)})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// TestErrorsOfAWSQuoteNoSecret has AWS quote the canonical request, as it does when
// a signature is wrong, and other parts of what it was sent.
func TestErrorsOfAWSQuoteNoSecret(t *testing.T) {
	t.Parallel()
	const secret, token = "the-secret-access-key", "the+session/token=="
	signature := ""
	for name, quote := range map[string]quoting{
		"canonical request": func(h http.Header) string {
			return "The Canonical String should have been 'POST\n/\n\nhost:x\nx-amz-security-token:" + h.Get("X-Amz-Security-Token") + "\n\nhost'"
		},
		"token alone":   func(h http.Header) string { return "bad " + h.Get("X-Amz-Security-Token") },
		"authorization": func(h http.Header) string { return h.Get("Authorization") },
		"part of it":    func(h http.Header) string { _, s, _ := strings.Cut(h.Get("Authorization"), "SignedHeaders"); return s },
		"settings": func(http.Header) string {
			return `{"SecretAccessKey":"` + secret + `", "SessionToken" : "` + token + `"}`
		},
	} {
		c := DefaultConfig()
		c.Region, c.Create, c.InDoubtWait = "us-east-1", false, 0
		spy := quoting(func(h http.Header) string {
			_, signature, _ = strings.Cut(h.Get("Authorization"), "Signature=")
			return quote(h)
		})
		sink, err := New(t.Context(), c, Deps{HTTPClient: spy, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secret, token)})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		_, err = sink.Deliver(t.Context(), pipeline.Batch{
			Destination: pipeline.Destination{LogGroup: "/g", LogStream: "s"},
			Events:      []event.Event{{LogID: "a", Date: now, Type: "s", Raw: []byte(`{"log_id":"a","type":"s"}`)}},
		})
		if err == nil || signature == "" || !strings.Contains(err.Error(), blot) {
			t.Fatalf("%s: nothing was quoted: %v", name, err)
		}
		for _, s := range []string{secret, token, signature} {
			if text := err.Error() + pipeline.Classify(err).Hint; strings.Contains(text, s) {
				t.Errorf("%s: %q is shown: %s", name, s, text)
			}
		}
	}
}
