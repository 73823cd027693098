package auth0

import (
	"context"
	"encoding/json"
	"net/http"
)

// The states of a log stream. Auth0 suspends one that has failed for seven days.
const (
	StreamActive    = "active"
	StreamPaused    = "paused"
	StreamSuspended = "suspended"
)

// The types of log streams that gapless takes events from.
const (
	StreamHTTP        = "http"
	StreamEventBridge = "eventbridge"
)

// A LogStream is a log stream of the tenant.
type LogStream struct {
	ID, Name string
	// Type is StreamHTTP, StreamEventBridge, or another of Auth0's.
	Type string
	// Status is StreamActive, StreamPaused or StreamSuspended. It is not given when
	// a stream is made.
	Status string
	// Priority says that the stream is a prioritized one, which has no categories.
	Priority bool
	// Endpoint and Authorization are of StreamHTTP: the URL, and the value of the
	// header that it sends.
	Endpoint      string
	Authorization Hidden
	// AWSAccount, AWSRegion and PartnerSource are of StreamEventBridge. Auth0 makes
	// the last, and none of them ever changes.
	AWSAccount, AWSRegion, PartnerSource string
	// Categories are those that it sends; all when empty.
	Categories []string
	// PIIFields are obfuscated as PIIMethod says, mask or hash; none when empty.
	PIIFields []string
	PIIMethod string

	sink map[string]json.RawMessage // as read, without the authorization
}

// streamJSON is a log stream as the API writes it.
type streamJSON struct {
	ID       string                     `json:"id"`
	Name     string                     `json:"name"`
	Type     string                     `json:"type"`
	Status   string                     `json:"status"`
	Priority bool                       `json:"isPriority"`
	Sink     map[string]json.RawMessage `json:"sink"`
	Filters  []filterJSON               `json:"filters"`
	PII      *piiJSON                   `json:"pii_config"`
}

type filterJSON struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

type piiJSON struct {
	Fields    []string `json:"log_fields"`
	Method    string   `json:"method"`
	Algorithm string   `json:"algorithm"`
}

func (s *streamJSON) stream() LogStream {
	text := func(name string) string {
		var v string
		_ = json.Unmarshal(s.Sink[name], &v) // what is no text is none of these
		return v
	}
	out := LogStream{
		ID: s.ID, Name: s.Name, Type: s.Type, Status: s.Status, Priority: s.Priority, sink: s.Sink,
		Endpoint: text("httpEndpoint"), AWSAccount: text("awsAccountId"), AWSRegion: text("awsRegion"), PartnerSource: text("awsPartnerEventSource"),
	}
	if a := text("httpAuthorization"); a != "" {
		out.Authorization = Hide(a)
		delete(s.Sink, "httpAuthorization")
	}
	for _, f := range s.Filters {
		out.Categories = append(out.Categories, f.Name)
	}
	if s.PII != nil && len(s.PII.Fields) > 0 {
		out.PIIFields, out.PIIMethod = s.PII.Fields, s.PII.Method
	}
	return out
}

// common returns the members that are the same in both requests. Those that are off
// are always said: where they are missing in a change, Auth0 has been reported both to
// keep and to clear them.
func (l LogStream) common(body map[string]any) map[string]any {
	filters := []filterJSON{}
	for _, c := range l.Categories {
		filters = append(filters, filterJSON{"category", c})
	}
	body["name"] = l.Name
	if !l.Priority {
		body["filters"] = filters
	}
	if len(l.PIIFields) > 0 {
		body["pii_config"] = piiJSON{Fields: l.PIIFields, Method: l.PIIMethod, Algorithm: "xxhash"}
	}
	return body
}

// LogStreams returns the log streams of the tenant, in all states.
func (m *Manager) LogStreams(ctx context.Context) ([]LogStream, error) {
	var list []streamJSON
	err := m.do(ctx, managed{
		tries: "list log streams", name: "log-streams", method: http.MethodGet, path: []string{"log-streams"}, scope: "read:log_streams",
	}, &list)
	out := make([]LogStream, 0, len(list))
	for i := range list {
		out = append(out, list[i].stream())
	}
	return out, err
}

// LogStream returns one log stream; the error has the kind NotFound when there is
// none.
func (m *Manager) LogStream(ctx context.Context, id string) (LogStream, error) {
	var s streamJSON
	err := m.do(ctx, managed{
		tries: "read log stream", name: "log-streams", method: http.MethodGet, path: []string{"log-streams", id}, scope: "read:log_streams",
	}, &s)
	return s.stream(), err
}

// CreateLogStream makes a log stream, which begins to send at once. The error has the
// kind Conflict when the plan allows no more. After one of the kind Transient it may
// be there.
func (m *Manager) CreateLogStream(ctx context.Context, l LogStream) (LogStream, error) {
	sink := map[string]any{"awsAccountId": l.AWSAccount, "awsRegion": l.AWSRegion}
	if l.Type == StreamHTTP {
		sink = map[string]any{"httpEndpoint": l.Endpoint, "httpContentType": "application/json", "httpContentFormat": "JSONLINES"}
		if a := l.Authorization.Reveal(); a != "" {
			sink["httpAuthorization"] = a
		}
	}
	var s streamJSON
	err := m.do(ctx, managed{
		tries: "create log stream", name: "log-streams", method: http.MethodPost, path: []string{"log-streams"}, scope: "create:log_streams",
		body: l.common(map[string]any{"type": l.Type, "sink": sink}), secrets: []string{l.Authorization.Reveal()},
	}, &s)
	if err == nil && s.ID == "" {
		err = &Error{Op: "create log stream", Kind: Transient, Err: errNotOurs}
	}
	return s.stream(), err
}

// UpdateLogStream makes a log stream, which another method has returned, as it is now:
// name, endpoint, authorization, categories and PII.
func (m *Manager) UpdateLogStream(ctx context.Context, l LogStream) error {
	body := l.common(map[string]any{})
	if len(l.PIIFields) == 0 {
		body["pii_config"] = nil
	}
	if l.Type == StreamHTTP {
		sink := make(map[string]any, len(l.sink)+2)
		for k, v := range l.sink {
			sink[k] = v
		}
		sink["httpEndpoint"] = l.Endpoint
		if a := l.Authorization.Reveal(); a != "" {
			sink["httpAuthorization"] = a
		}
		body["sink"] = sink
	}
	return m.do(ctx, managed{
		tries: "change log stream", name: "log-streams", method: http.MethodPatch, path: []string{"log-streams", l.ID}, scope: "update:log_streams",
		body: body, secrets: []string{l.Authorization.Reveal()},
	}, nil)
}

// SetLogStreamStatus pauses a log stream, or makes it go on: StreamPaused or
// StreamActive. While it is paused Auth0 keeps its events for as long as the log.
func (m *Manager) SetLogStreamStatus(ctx context.Context, l LogStream, status string) error {
	body := map[string]any{"status": status}
	if len(l.PIIFields) > 0 { // see common
		body["pii_config"] = piiJSON{Fields: l.PIIFields, Method: l.PIIMethod, Algorithm: "xxhash"}
	}
	return m.do(ctx, managed{
		tries: "set status of log stream", name: "log-streams", method: http.MethodPatch, path: []string{"log-streams", l.ID}, scope: "update:log_streams",
		body: body,
	}, nil)
}

// DeleteLogStream removes a log stream. One that is gone already is no error.
func (m *Manager) DeleteLogStream(ctx context.Context, id string) error {
	return gone(m.do(ctx, managed{
		tries: "delete log stream", name: "log-streams", method: http.MethodDelete, path: []string{"log-streams", id}, scope: "delete:log_streams",
	}, nil))
}
