package cloudwatch_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

// cloud is a small CloudWatch Logs that enforces the published limits to the
// letter and goes wrong by script.
type cloud struct {
	mu      sync.Mutex
	groups  map[string]*logGroup
	calls   []call
	scripts []script
	clock   func() time.Time
	// noGzip makes the endpoint fail on compressed bodies as given.
	noGzip *answer
	// poison refuses a request that holds a message with this text.
	poison string
	// date sends the header Date, as real servers do.
	date bool
	// lag is how long after a write its events can be read, page how many at
	// once.
	lag  time.Duration
	page int
	// rates are how many calls of an operation there may be within a second, as the
	// quotas of an account; more are throttled.
	rates map[string]int
	done  map[string][]time.Time // of those within the last second
}

type logGroup struct {
	streams       map[string][]pipelinetest.Stored
	written       map[string]time.Time // by message
	retentionDays int
	class, kms    string
	tags          map[string]string
}

// call is a request as the cloud saw it.
type call struct {
	op, body, auth string
	zipped         bool
	events         int
	at             time.Time
}

// answer is an answer by script: an error of AWS, or something else entirely.
type answer struct {
	status  int
	code    string
	message string
	raw     string
	header  map[string]string
	cut     bool // drop the connection before anything is done
	lost    bool // do the work, then answer with status, or drop the connection
	hang    bool
	empty   bool // no body, instead of an empty object
}

// script answers the calls of an operation for as long as it lasts.
type script struct {
	op    string
	times int // -1 for ever
	answer
}

func newCloud() *cloud {
	return &cloud{groups: make(map[string]*logGroup), done: make(map[string][]time.Time), clock: time.Now}
}

// with adds a script.
func (c *cloud) with(op string, times int, a answer) *cloud {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scripts = append(c.scripts, script{op, times, a})
	return c
}

// add makes a group with streams.
func (c *cloud) add(group string, streams ...string) *logGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := &logGroup{streams: make(map[string][]pipelinetest.Stored)}
	for _, s := range streams {
		g.streams[s] = nil
	}
	c.groups[group] = g
	return g
}

// drop deletes a group.
func (c *cloud) drop(group string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.groups, group)
}

// group returns a group, nil when there is none.
func (c *cloud) group(name string) *logGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.groups[name]
}

// seen returns the calls of an operation.
func (c *cloud) seen(op string) []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []call
	for _, x := range c.calls {
		if x.op == op {
			out = append(out, x)
		}
	}
	return out
}

// stored returns all events, in the order of time within each destination.
func (c *cloud) stored() []pipelinetest.Stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []pipelinetest.Stored
	for _, g := range c.groups {
		for _, s := range g.streams {
			s = slices.Clone(s)
			slices.SortStableFunc(s, func(a, b pipelinetest.Stored) int { return a.Time.Compare(b.Time) })
			out = append(out, s...)
		}
	}
	return out
}

// request holds the members of all requests in use.
type request struct {
	LogGroupName, LogStreamName             string
	LogGroupNamePrefix, LogStreamNamePrefix string
	LogGroupClass, KmsKeyID                 string
	RetentionInDays, Limit                  int
	StartTime, EndTime                      int64
	NextToken                               string
	Tags                                    map[string]string
	LogEvents                               []struct {
		Message   string
		Timestamp int64
	}
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	zipped := r.Header.Get("Content-Encoding") == "gzip"
	body := readBody(r, zipped)
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		write(w, answer{status: 400, code: "SerializationException", message: "not JSON"})
		return
	}
	a, scripted := c.note(call{op: op, body: string(body), auth: r.Header.Get("Authorization"), zipped: zipped, events: len(in.LogEvents), at: time.Now()})
	switch {
	case zipped && c.noGzip != nil:
		write(w, *c.noGzip)
		return
	case scripted && a.hang:
		<-r.Context().Done()
		return
	case scripted && a.cut:
		panic(http.ErrAbortHandler)
	case scripted && !a.lost:
		write(w, a)
		return
	}
	c.mu.Lock()
	out := refusal("ThrottlingException", "Rate exceeded")
	if c.within(op) {
		out = c.do(op, in)
	}
	c.mu.Unlock()
	switch {
	case scripted && a.status != 0:
		write(w, a)
		return
	case scripted:
		panic(http.ErrAbortHandler)
	}
	if c.date {
		w.Header().Set("Date", c.clock().UTC().Format(http.TimeFormat))
	}
	write(w, out)
}

func readBody(r *http.Request, zipped bool) []byte {
	var from io.Reader = r.Body
	if zipped {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil
		}
		from = z
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return nil
	}
	return body
}

// note keeps a call and finds the script that strikes it.
func (c *cloud) note(x call) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, x)
	for i, s := range c.scripts {
		if s.op != x.op || s.times == 0 {
			continue
		}
		if s.times > 0 {
			c.scripts[i].times--
		}
		return s.answer, true
	}
	return answer{}, false
}

// within reports whether an operation keeps to its rate.
func (c *cloud) within(op string) bool {
	limit, ok := c.rates[op]
	if !ok {
		return true
	}
	c.done[op] = slices.DeleteFunc(c.done[op], func(at time.Time) bool { return time.Since(at) >= time.Second })
	if len(c.done[op]) >= limit {
		return false
	}
	c.done[op] = append(c.done[op], time.Now())
	return true
}

func write(w http.ResponseWriter, a answer) {
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	switch {
	case a.empty:
	case a.raw != "":
		_, _ = io.WriteString(w, a.raw)
	case a.code != "":
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": a.code, "message": a.message})
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

func refusal(code, format string, args ...any) answer {
	return answer{status: 400, code: code, message: fmt.Sprintf(format, args...)}
}

var (
	noGroup  = refusal("ResourceNotFoundException", "The specified log group does not exist.")
	noStream = refusal("ResourceNotFoundException", "The specified log stream does not exist.")
)

// do carries out an operation.
func (c *cloud) do(op string, in request) answer {
	g := c.groups[in.LogGroupName]
	switch op {
	case "CreateLogGroup":
		if g != nil {
			return refusal("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		c.groups[in.LogGroupName] = &logGroup{streams: make(map[string][]pipelinetest.Stored), class: in.LogGroupClass, kms: in.KmsKeyID, tags: in.Tags}
		return answer{}
	case "DescribeLogGroups":
		return c.describeGroups(in)
	}
	if g == nil {
		return noGroup
	}
	switch op {
	case "CreateLogStream":
		if _, ok := g.streams[in.LogStreamName]; ok {
			return refusal("ResourceAlreadyExistsException", "The specified log stream already exists")
		}
		g.streams[in.LogStreamName] = nil
	case "PutRetentionPolicy":
		g.retentionDays = in.RetentionInDays
	case "DescribeLogStreams":
		for name := range g.streams {
			if name == in.LogStreamNamePrefix {
				return answer{raw: fmt.Sprintf(`{"logStreams":[{"logStreamName":%q}]}`, name)}
			}
		}
		return answer{raw: `{"logStreams":[]}`}
	case "PutLogEvents":
		return c.put(g, in)
	case "GetLogEvents":
		return c.get(g, in)
	default:
		return refusal("UnknownOperationException", "%s", op)
	}
	return answer{}
}

func (c *cloud) describeGroups(in request) answer {
	g := c.groups[in.LogGroupNamePrefix]
	if g == nil {
		return answer{raw: `{"logGroups":[]}`}
	}
	retention := ""
	if g.retentionDays > 0 {
		retention = fmt.Sprintf(`,"retentionInDays":%d`, g.retentionDays)
	}
	return answer{raw: fmt.Sprintf(`{"logGroups":[{"logGroupName":%q%s}]}`, in.LogGroupNamePrefix, retention)}
}

// get reads a page of events as GetLogEvents does from the head: the end of the
// stream answers with the token it was asked with.
func (c *cloud) get(g *logGroup, in request) answer {
	all, ok := g.streams[in.LogStreamName]
	if !ok {
		return noStream
	}
	type item struct {
		Message   string `json:"message"`
		Timestamp int64  `json:"timestamp"`
	}
	var found []item
	for _, e := range all {
		at := e.Time.UnixMilli()
		if at >= in.StartTime && at < in.EndTime && time.Since(g.written[e.Message]) >= c.lag {
			found = append(found, item{e.Message, at})
		}
	}
	slices.SortStableFunc(found, func(a, b item) int { return int(a.Timestamp - b.Timestamp) })
	from, page := 0, in.Limit
	if c.page > 0 {
		page = c.page
	}
	if in.NextToken != "" {
		if _, err := fmt.Sscanf(in.NextToken, "f/%d", &from); err != nil {
			return refusal("InvalidParameterException", "The specified nextToken is invalid.")
		}
	}
	from = min(from, len(found))
	found = found[from:min(from+page, len(found))]
	body, err := json.Marshal(map[string]any{"events": found, "nextForwardToken": fmt.Sprintf("f/%d", from+len(found)), "nextBackwardToken": "b/0"})
	if err != nil {
		return answer{status: 500}
	}
	return answer{raw: string(body)}
}

// put stores events as PutLogEvents does.
func (c *cloud) put(g *logGroup, in request) answer {
	if _, ok := g.streams[in.LogStreamName]; !ok {
		return noStream
	}
	now := c.clock()
	tooOld, expired, tooNew := 0, 0, len(in.LogEvents)
	size, first, last := 0, int64(-1), int64(-1)
	for i, e := range in.LogEvents {
		if c.poison != "" && strings.Contains(e.Message, c.poison) {
			return refusal("InvalidParameterException", "1 validation error detected: Value '%s' at 'logEvents.1.member.message' failed to satisfy constraint: it is poison", e.Message)
		}
		if e.Message == "" || !utf8.ValidString(e.Message) || e.Timestamp < 0 || len(e.Message)+26 > 1_048_576 {
			return refusal("InvalidParameterException", "bad event")
		}
		if i > 0 && e.Timestamp < in.LogEvents[i-1].Timestamp {
			return refusal("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
		}
		size += len(e.Message) + 26
		at := time.UnixMilli(e.Timestamp)
		switch {
		case at.Before(now.Add(-14 * 24 * time.Hour)):
			tooOld = i + 1
		case g.retentionDays > 0 && at.Before(now.Add(-time.Duration(g.retentionDays)*24*time.Hour)):
			expired = i + 1
		case at.After(now.Add(2 * time.Hour)):
			tooNew = min(tooNew, i)
		default:
			if first < 0 {
				first = e.Timestamp
			}
			last = e.Timestamp
		}
	}
	switch {
	case len(in.LogEvents) == 0 || len(in.LogEvents) > 10_000:
		return refusal("InvalidParameterException", "1 validation error detected: Value at 'logEvents' failed to satisfy constraint")
	case size > 1_048_576:
		return refusal("InvalidParameterException", "Upload too large: %d bytes exceeds limit of 1048576", size)
	case last-first > (24 * time.Hour).Milliseconds():
		return refusal("InvalidParameterException", "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	if g.written == nil {
		g.written = make(map[string]time.Time)
	}
	for _, e := range in.LogEvents[max(tooOld, expired):tooNew] {
		g.written[e.Message] = time.Now()
		g.streams[in.LogStreamName] = append(g.streams[in.LogStreamName], pipelinetest.Stored{
			Destination: pipeline.Destination{LogGroup: in.LogGroupName, LogStream: in.LogStreamName},
			Time:        time.UnixMilli(e.Timestamp).UTC(), Message: e.Message,
		})
	}
	info := make(map[string]int)
	if tooOld > 0 {
		info["tooOldLogEventEndIndex"] = tooOld
	}
	if expired > 0 {
		info["expiredLogEventEndIndex"] = expired
	}
	if tooNew < len(in.LogEvents) {
		info["tooNewLogEventStartIndex"] = tooNew
	}
	if len(info) == 0 {
		return answer{raw: `{"nextSequenceToken":"1"}`}
	}
	body, err := json.Marshal(map[string]any{"nextSequenceToken": "1", "rejectedLogEventsInfo": info})
	if err != nil {
		return answer{status: 500}
	}
	return answer{raw: string(body)}
}

// dest is where the tests deliver to.
var dest = pipeline.Destination{LogGroup: "/auth0/example", LogStream: "logs"}

// config returns the configuration of the tests.
func config(change ...func(*cloudwatch.Config)) cloudwatch.Config {
	c := cloudwatch.DefaultConfig()
	c.Region, c.Endpoint = "eu-central-1", "http://logs.example.com"
	for _, f := range change {
		f(&c)
	}
	return c
}

// keys are the credentials of the tests.
var keys = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", "")

// open makes a sink that talks to a handler in memory.
func open(t *testing.T, h http.Handler, c cloudwatch.Config) (*cloudwatch.Sink, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	s, err := cloudwatch.New(t.Context(), c, cloudwatch.Deps{
		Logger: slog.New(slog.DiscardHandler), Registerer: reg, Tenant: "example",
		HTTPClient: &http.Client{Transport: emulator.Transport(h)}, Credentials: keys,
	})
	if err != nil {
		t.Fatalf("make sink: %v", err)
	}
	return s, reg
}

// ev makes an event.
func ev(id string, at time.Time) event.Event {
	return event.Event{LogID: id, Date: at, Type: "s", Raw: fmt.Appendf(nil, `{"log_id":%q,"type":"s","date":%q}`, id, at.UTC().Format(time.RFC3339Nano))}
}

// batch makes a batch of events that ascend already.
func batch(events ...event.Event) pipeline.Batch {
	return pipeline.Batch{Destination: dest, Events: events, Keys: make([]int64, len(events))}
}

// value reads the sum of a metric over all its labels but those given.
func value(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("gather metrics: %v", err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetName()+"="+l.GetValue())
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(have, l) }) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// wrongKeys name a user that exists, with another secret.
var wrongKeys = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-the-secret", "")

// adminKeys are those of a user that may do everything in the emulator.
var adminKeys = credentials.NewStaticCredentialsProvider("AKIDADMIN", "admin-secret", "")
