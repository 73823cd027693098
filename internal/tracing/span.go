package tracing

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

type (
	traceID [16]byte
	spanID  [8]byte
)

// The kinds of spans, as OTLP numbers them.
const (
	kindInternal = 1
	kindClient   = 3
)

// statusError is the code of a span that failed, as OTLP numbers it.
const statusError = 2

// A span is a piece of work that is over.
type span struct {
	trace        traceID
	id, parent   spanID // parent is zero for the root of a trace
	name         string
	kind         int
	began, ended time.Time
	attributes   []attribute
	links        []ref
	more         int    // links that were left out
	failure      string // a word for what went wrong; empty when nothing did
}

// A ref names a span.
type ref struct {
	trace traceID
	span  spanID
}

// An attribute has a string, an int64 or a bool.
type attribute struct {
	key   string
	value any
}

// str, num and yes make attributes.
func str(key, v string) attribute     { return attribute{key, v} }
func num(key string, n int) attribute { return attribute{key, int64(n)} }
func yes(key string, v bool) attribute {
	return attribute{key, v}
}

// child returns a span below another one.
func (s *span) child(name string, kind int, began, ended time.Time, attributes ...attribute) span {
	return span{trace: s.trace, id: newSpanID(), parent: s.id, name: name, kind: kind, began: began, ended: ended, attributes: attributes}
}

// What follows is OTLP's JSON: names as in its protobufs, ids in hex, 64-bit integers as
// strings.
type (
	jsonRequest struct {
		ResourceSpans []jsonResourceSpans `json:"resourceSpans"`
	}
	jsonResourceSpans struct {
		Resource struct {
			Attributes []jsonAttribute `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []jsonScopeSpans `json:"scopeSpans"`
	}
	jsonScopeSpans struct {
		Scope struct {
			Name    string `json:"name"`
			Version string `json:"version,omitempty"`
		} `json:"scope"`
		Spans []jsonSpan `json:"spans"`
	}
	jsonSpan struct {
		TraceID      string          `json:"traceId"`
		SpanID       string          `json:"spanId"`
		ParentSpanID string          `json:"parentSpanId,omitempty"`
		Name         string          `json:"name"`
		Kind         int             `json:"kind"`
		Start        string          `json:"startTimeUnixNano"`
		End          string          `json:"endTimeUnixNano"`
		Attributes   []jsonAttribute `json:"attributes,omitempty"`
		Links        []jsonLink      `json:"links,omitempty"`
		DroppedLinks int             `json:"droppedLinksCount,omitempty"`
		Status       *jsonStatus     `json:"status,omitempty"`
	}
	jsonLink struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
	}
	jsonStatus struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code"`
	}
	jsonAttribute struct {
		Key   string    `json:"key"`
		Value jsonValue `json:"value"`
	}
	jsonValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
		Bool   *bool   `json:"boolValue,omitempty"`
	}
)

// encode makes the body of a request.
func (c *Config) encode(spans []span) ([]byte, error) {
	scope := jsonScopeSpans{Spans: make([]jsonSpan, len(spans))}
	scope.Scope.Name, scope.Scope.Version = "github.com/gaplesslogs/gapless", c.Version
	for i := range spans {
		scope.Spans[i] = spans[i].json()
	}
	resource := jsonResourceSpans{ScopeSpans: []jsonScopeSpans{scope}}
	resource.Resource.Attributes = attributes([]attribute{str("service.name", c.ServiceName), str("service.version", c.Version)})
	return json.Marshal(jsonRequest{[]jsonResourceSpans{resource}})
}

// json returns the span as OTLP has it.
func (s *span) json() jsonSpan {
	nano := func(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
	out := jsonSpan{
		TraceID: hex.EncodeToString(s.trace[:]), SpanID: hex.EncodeToString(s.id[:]), Name: s.name, Kind: s.kind,
		Start: nano(s.began), End: nano(s.ended), Attributes: attributes(s.attributes), DroppedLinks: s.more,
	}
	if s.parent != (spanID{}) {
		out.ParentSpanID = hex.EncodeToString(s.parent[:])
	}
	for _, l := range s.links {
		out.Links = append(out.Links, jsonLink{hex.EncodeToString(l.trace[:]), hex.EncodeToString(l.span[:])})
	}
	if s.failure != "" {
		out.Status = &jsonStatus{s.failure, statusError}
	}
	return out
}

// attributes returns a list as OTLP has it.
func attributes(list []attribute) []jsonAttribute {
	out := make([]jsonAttribute, len(list))
	for i, a := range list {
		out[i].Key = a.key
		switch v := a.value.(type) {
		case string:
			out[i].Value.String = &v
		case int64:
			text := strconv.FormatInt(v, 10)
			out[i].Value.Int = &text
		case bool:
			out[i].Value.Bool = &v
		}
	}
	return out
}
