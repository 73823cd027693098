package cloudwatch_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

func TestProtocol(t *testing.T) {
	t.Parallel()
	get := func(b *bench, path string) answer {
		req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, "http://logs.example.com"+path, nil)
		b.must(err)
		return b.send(req)
	}
	run(t, map[string]func(*bench){
		"every answer has a type and a request id": func(b *bench) {
			for _, op := range []string{"DescribeLogGroups", "Nope"} {
				a := b.raw(op, "{}")
				if a.header.Get("Content-Type") != "application/x-amz-json-1.1" || len(a.header.Get("X-Amzn-RequestId")) != 36 {
					b.t.Errorf("%s: %v", op, a.header)
				}
			}
		},
		"operations that are not there": func(b *bench) {
			for _, op := range []string{"StartLiveTail", "putLogEvents", ""} {
				if a := b.raw(op, "{}"); a.status != 400 || a.text != `{"__type":"UnknownOperationException"}` {
					b.t.Errorf("%q: %d %s", op, a.status, a.text)
				}
			}
		},
		"a body that is no JSON": func(b *bench) {
			b.wantRaw(b.raw("DescribeLogGroups", "{"), "SerializationException", "…")
			b.wantRaw(b.raw("DescribeLogGroups", `{"limit":"5"}`), "SerializationException", "STRING_VALUE can not be converted to a Long")
			b.wantRaw(b.raw("DescribeLogGroups", `{"logGroupNamePrefix":5}`), "SerializationException", "NUMBER_VALUE can not be converted to a String")
		},
		"no body, and members nobody knows": func(b *bench) {
			for _, body := range []string{"", `{"future":[1]}`} {
				if a := b.raw("DescribeLogGroups", body); a.status != 200 {
					b.t.Errorf("%q: %s", body, a.text)
				}
			}
		},
		"members in another case are members nobody knows": func(b *bench) {
			b.wantRaw(b.raw("CreateLogGroup", `{"LogGroupName":"x"}`), invalidParameter,
				"1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
			if a := b.raw("DescribeLogGroups", `{"Limit":"five","limit":1}`); a.status != 200 {
				b.t.Error(a.text)
			}
		},
		"a body that is no object": func(b *bench) {
			b.wantRaw(b.raw("DescribeLogGroups", `[]`), "SerializationException", "Start of list found where not expected")
			b.wantRaw(b.raw("DescribeLogGroups", `{} {}`), "SerializationException", "…")
		},
		"an encoding nobody knows": func(b *bench) {
			b.wantRaw(b.raw("DescribeLogGroups", "{}", "Content-Encoding", "br"), "UnsupportedMediaTypeException", "…")
		},
		"a body beyond all limits": func(b *bench) {
			if a := b.raw("PutLogEvents", strings.Repeat(" ", 17<<20)); a.status != http.StatusRequestEntityTooLarge {
				b.t.Errorf("status %d", a.status)
			}
		},
		"people find a text and the figures": func(b *bench) {
			for _, path := range []string{"/", "/_emulator/health"} {
				if a := get(b, path); a.status != 200 || !strings.Contains(a.text, "CloudWatch Logs") {
					b.t.Errorf("%s: %d %s", path, a.status, a.text)
				}
			}
			if a := get(b, "/_emulator/stats"); !strings.Contains(a.text, `"CreateLogGroup":1`) {
				b.t.Error(a.text)
			}
		},
		"faults over HTTP": func(b *bench) {
			req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://logs.example.com"+emulator.FaultsPath, strings.NewReader(
				`{"match":"PutLogEvents","status":400,"body":"{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"}`))
			b.must(err)
			if a := b.send(req); a.status != 200 {
				b.t.Fatal(a.text)
			}
			_, err = b.tryPut(stream, event(now(), "x"))
			b.wantError(err, "ThrottlingException", "Rate exceeded")
			b.putEvents(stream, event(now(), "x"))
		},
	})
}

// A lost answer leaves the events behind: the case in which a client cannot know.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	b := newBenchWith(t, cloudwatch.Options{Faults: emulator.NewFaults(emulator.Fault{Match: "PutLogEvents", Kind: emulator.FaultLost})})
	b.createGroup(group)
	b.createStream(group, stream)
	if _, err := b.tryPut(stream, event(now(), "x")); err == nil {
		t.Error("no error")
	}
	if got := b.stored(); len(got) != 1 {
		t.Errorf("stored %v", got)
	}
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBenchWith(t, cloudwatch.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	b.createGroup(group)
	b.createStream(group, stream)
	b.put("the body of an event")
	for _, want := range []string{"PutLogEvents", "group=" + group, "stream=logs", "events=1", "bytes=46", "status=200", "duration="} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the log", want)
		}
	}
	if strings.Contains(out.String(), "the body") {
		t.Error("the log holds the body of an event")
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	options := cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "secret"}}}
	// signed sends a signed request after it was tampered with.
	signed := func(b *bench, when time.Time, service string, tamper func(*http.Request)) answer {
		b.t.Helper()
		body := `{}`
		req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://logs.example.com/", strings.NewReader(body))
		b.must(err)
		req.Header.Set("X-Amz-Target", "Logs_20140328.DescribeLogGroups")
		const hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
		b.must(v4.NewSigner().SignHTTP(b.t.Context(), aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"},
			req, hash, service, "eu-central-1", when))
		tamper(req)
		return b.send(req)
	}
	auth := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
	const mismatch = "The request signature we calculated does not match the signature you provided. …"
	cases := map[string]struct {
		when          time.Time
		service       string
		tamper        func(*http.Request)
		code, message string
	}{
		"untouched":     {tamper: func(*http.Request) {}},
		"14 min old":    {when: now().Add(-14 * time.Minute), tamper: func(*http.Request) {}},
		"16 min old":    {when: now().Add(-16 * time.Minute), tamper: func(*http.Request) {}, code: "InvalidSignatureException", message: "Signature expired: …"},
		"16 min ahead":  {when: now().Add(16 * time.Minute), tamper: func(*http.Request) {}, code: "InvalidSignatureException", message: "Signature not yet current: …"},
		"other service": {service: "s3", tamper: func(*http.Request) {}, code: "InvalidSignatureException", message: "Credential should be scoped to correct service: 'logs'. "},
		"no signature": {
			tamper: func(r *http.Request) { r.Header.Del("Authorization") },
			code:   "MissingAuthenticationTokenException", message: "Missing Authentication Token",
		},
		"half a header": {tamper: auth("SignedHeaders", "Headers"), code: "IncompleteSignatureException", message: "Authorization header requires 'SignedHeaders' parameter."},
		"bearer":        {tamper: auth("AWS4-HMAC-SHA256", "Bearer"), code: "IncompleteSignatureException", message: "…"},
		"short scope":   {tamper: auth("/eu-central-1", ""), code: "IncompleteSignatureException", message: "Credential must have exactly 5 …"},
		"unknown key":   {tamper: auth("AKIDEXAMPLE", "AKIDOTHER"), code: "UnrecognizedClientException", message: "The security token included in the request is invalid."},
		"session token": {
			tamper: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") },
			code:   "UnrecognizedClientException", message: "…",
		},
		"other region":    {tamper: auth("eu-central-1", "eu-west-1"), code: "InvalidSignatureException", message: mismatch},
		"other body":      {tamper: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`[]`)) }, code: "InvalidSignatureException", message: mismatch},
		"other target":    {tamper: func(r *http.Request) { r.Header.Set("X-Amz-Target", "Logs_20140328.DeleteLogGroup") }, code: "InvalidSignatureException", message: mismatch},
		"other date":      {tamper: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20000101T000000Z") }, code: "InvalidSignatureException", message: "Date in Credential scope …"},
		"no date":         {tamper: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, code: "IncompleteSignatureException", message: "…"},
		"a broken date":   {tamper: func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, code: "IncompleteSignatureException", message: "…"},
		"unsigned header": {tamper: func(r *http.Request) { r.Header.Set("X-Amz-Extra", "x") }, code: "InvalidSignatureException", message: "'x-amz-extra' must be a 'SignedHeader' …"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchWith(t, options)
			when, service := c.when, c.service
			if when.IsZero() {
				when = now()
			}
			if service == "" {
				service = "logs"
			}
			a := signed(b, when, service, c.tamper)
			if c.code == "" {
				if a.status != 200 {
					t.Errorf("%d %s", a.status, a.text)
				}
				return
			}
			b.wantRaw(a, c.code, c.message)
		})
	}
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	b := newBenchWith(t, cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "other"}}})
	_, err := b.DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{})
	b.wantError(err, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. …")
}

// An hour of sleep later the SDK signs with the new time, also in a bubble.
func TestSignaturesInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "secret"}}})
		<-time.After(time.Hour)
		_, err := b.DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{})
		b.must(err)
	})
}

// The policy of the walk-through: write events and look at streams, no more.
const writerPolicy = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["logs:PutLogEvents","logs:DescribeLogStreams"],
	 "Resource":"arn:aws:logs:*:123456789012:log-group:/auth0/dev-tenant:*"}]}`

func TestPolicies(t *testing.T) {
	t.Parallel()
	options := cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{
		{ID: "AKIDADMIN", Secret: "secret"},
		{ID: "AKIDWRITER", Secret: "secret", User: "gapless", Policy: writerPolicy},
		{ID: "AKIDDENIED", Secret: "secret", User: "denied", Policy: `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
			{"Effect":"Deny","NotAction":["logs:Describe*","logs:Create?ogGroup"],"Resource":"*"},
			{"Sid":"tags","Effect":"Deny","Action":"logs:Tag*","Resource":"*"}]}`},
	}}
	b := newBenchWith(t, options)
	b.Client = newClient(b.server, "AKIDADMIN", "secret")
	b.createGroup(group)
	b.createStream(group, stream)

	b.Client = newClient(b.server, "AKIDWRITER", "secret")
	b.putEvents(stream, event(now(), "x"))
	_, err := b.DescribeLogStreams(t.Context(), &logs.DescribeLogStreamsInput{LogGroupName: aws.String(group)})
	b.must(err)
	_, err = b.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("x")})
	b.wantError(err, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/gapless is not authorized to perform: "+
		"logs:CreateLogGroup on resource: arn:aws:logs:eu-central-1:123456789012:log-group:x:log-stream: because no "+
		"identity-based policy allows the logs:CreateLogGroup action")
	_, err = b.PutLogEvents(t.Context(), &logs.PutLogEventsInput{
		LogGroupName: aws.String("other"), LogStreamName: aws.String("s"), LogEvents: []types.InputLogEvent{event(now(), "x")},
	})
	b.wantError(err, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/gapless is not authorized to perform: logs:PutLogEvents "+
		"on resource: arn:aws:logs:eu-central-1:123456789012:log-group:other:log-stream:s because …")

	b.Client = newClient(b.server, "AKIDDENIED", "secret")
	b.createGroup("denied")
	_, err = b.DeleteLogGroup(t.Context(), &logs.DeleteLogGroupInput{LogGroupName: aws.String("denied")})
	b.wantError(err, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/denied is not authorized to perform: logs:DeleteLogGroup on "+
		"resource: arn:aws:logs:eu-central-1:123456789012:log-group:denied:log-stream: with an explicit deny in an identity-based policy")
	_, err = b.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("x"), Tags: map[string]string{"a": "b"}})
	b.wantError(err, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/denied is not authorized to perform: logs:TagResource on …")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	key := cloudwatch.AccessKey{ID: "AKIDEXAMPLE", Secret: "secret"}
	withPolicy := func(policy string) cloudwatch.Options {
		k := key
		k.Policy = policy
		return cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{k}}
	}
	for name, o := range map[string]cloudwatch.Options{
		"account":           {AccountID: "12"},
		"no secret":         {AccessKeys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE"}}},
		"the same key":      {AccessKeys: []cloudwatch.AccessKey{key, key}},
		"no JSON":           withPolicy(`{`),
		"no effect":         withPolicy(`{"Statement":{"Action":"*","Resource":"*"}}`),
		"no action":         withPolicy(`{"Statement":{"Effect":"Allow","Resource":"*"}}`),
		"no resource":       withPolicy(`{"Statement":{"Effect":"Allow","Action":"*"}}`),
		"condition":         withPolicy(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`),
		"misspelt":          withPolicy(`{"Statements":[]}`),
		"data directory":    {DataDir: "/dev/null/x"},
		"misspelt resource": withPolicy(`{"Statement":[{"Effect":"Allow","Action":"*","Ressource":"*"}]}`),
	} {
		if _, err := cloudwatch.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
