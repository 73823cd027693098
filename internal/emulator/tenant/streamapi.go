package tenant

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// getLogStreams serves GET /api/v2/log-streams.
func (s *Server) getLogStreams(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	list := make([]logStream, 0, len(s.streams))
	for _, st := range s.streams {
		list = append(list, st.logStream)
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, list)
}

// getLogStream serves GET /api/v2/log-streams/{id}.
func (s *Server) getLogStream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	st := s.findStream(r.PathValue("id"))
	var l logStream
	if st != nil {
		l = st.logStream
	}
	s.mu.Unlock()
	if st == nil {
		errNoSuchStream.write(w)
		return
	}
	writeJSON(w, http.StatusOK, l)
}

// createLogStream serves POST /api/v2/log-streams.
func (s *Server) createLogStream(w http.ResponseWriter, r *http.Request) {
	s.streamAnswer(w, r, s.addStream)
}

// patchLogStream serves PATCH /api/v2/log-streams/{id}.
func (s *Server) patchLogStream(w http.ResponseWriter, r *http.Request) {
	s.streamAnswer(w, r, func(body []byte) (logStream, *problem) { return s.changeStream(r.PathValue("id"), body) })
}

// streamAnswer lets do work on the body of a request and answers with the stream.
func (s *Server) streamAnswer(w http.ResponseWriter, r *http.Request, do func(body []byte) (logStream, *problem)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		badBody("the body cannot be read").write(w)
		return
	}
	l, failed := do(body)
	if failed != nil {
		failed.write(w)
		return
	}
	emulator.Note(r.Context(), slog.String("stream", l.ID), slog.String("type", l.Type), slog.String("state", l.Status))
	writeJSON(w, http.StatusOK, l)
}

// deleteLogStream serves DELETE /api/v2/log-streams/{id}.
func (s *Server) deleteLogStream(w http.ResponseWriter, r *http.Request) {
	if failed := s.removeStream(r.PathValue("id")); failed != nil {
		failed.write(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// newStreamRequest is the body of POST /api/v2/log-streams.
type newStreamRequest struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Sink       json.RawMessage `json:"sink"`
	IsPriority bool            `json:"isPriority"`
	Filters    []streamFilter  `json:"filters"`
	PII        *piiConfig      `json:"pii_config"`
	StartFrom  *string         `json:"startFrom"`
}

// readNewStream reads and validates the body of POST /api/v2/log-streams.
func (s *Server) readNewStream(body []byte) (l logStream, from time.Time, failed *problem) {
	var req newStreamRequest
	if failed := decodeStrict(body, "", &req); failed != nil {
		return l, from, failed
	}
	switch req.Type {
	case streamHTTP, streamEventBridge:
	case "":
		return l, from, missing("type")
	default: // among them the six that Auth0 has and this tenant has not
		return l, from, noEnum("type", req.Type)
	}
	if req.Sink == nil {
		return l, from, missing("sink")
	}
	if req.StartFrom != nil {
		t, err := time.Parse(time.RFC3339, *req.StartFrom)
		if err != nil {
			return l, from, badBody("'Object didn't pass validation for format date-time: " + *req.StartFrom + "' on property startFrom (The optional datetime (ISO 8601) to start streaming logs from).")
		}
		from = t
	}
	l = logStream{
		Name: req.Name, Type: req.Type, Status: statusActive, IsPriority: req.IsPriority, Filters: req.Filters, PII: req.PII,
	}
	if l.Sink, failed = s.readSink(req.Type, req.Sink); failed != nil {
		return l, from, failed
	}
	return l, from, l.complete()
}

// patchStreamRequest is the body of PATCH /api/v2/log-streams/{id}.
type patchStreamRequest struct {
	Name       *string         `json:"name"`
	Status     *string         `json:"status"`
	IsPriority *bool           `json:"isPriority"`
	Filters    *[]streamFilter `json:"filters"`
	PII        json.RawMessage `json:"pii_config"` // null takes it away
	Sink       json.RawMessage `json:"sink"`
}

// patched returns the stream as the body of a PATCH makes it.
func (s *Server) patched(l logStream, body []byte) (_ logStream, failed *problem) {
	var req patchStreamRequest
	if failed := decodeStrict(body, "", &req); failed != nil {
		return l, failed
	}
	if req.Name != nil {
		l.Name = *req.Name
	}
	if req.Status != nil {
		if *req.Status != statusActive && *req.Status != statusPaused {
			return l, noEnum("status", *req.Status)
		}
		l.Status = *req.Status
	}
	if req.IsPriority != nil && *req.IsPriority != l.IsPriority {
		l.IsPriority, l.Filters = *req.IsPriority, nil
	}
	if req.Filters != nil {
		l.Filters = *req.Filters
	}
	if len(req.PII) > 0 {
		l.PII = nil
		if given(req.PII) {
			l.PII = new(piiConfig)
			if failed := decodeStrict(req.PII, "pii_config.", l.PII); failed != nil {
				return l, failed
			}
		}
	}
	if req.Sink != nil {
		if l.Type != streamHTTP {
			return l, badBody("'Additional properties not allowed: sink'.")
		}
		if l.Sink, failed = s.readSink(l.Type, req.Sink); failed != nil {
			return l, failed
		}
	}
	return l, l.complete()
}

// httpSinkRequest and bridgeSinkRequest are the members that may be given.
type httpSinkRequest struct {
	Endpoint      string         `json:"httpEndpoint"`
	ContentFormat string         `json:"httpContentFormat"`
	ContentType   string         `json:"httpContentType"`
	Authorization string         `json:"httpAuthorization"`
	CustomHeaders []customHeader `json:"httpCustomHeaders"`
}

type bridgeSinkRequest struct {
	AWSAccountID string `json:"awsAccountId"`
	AWSRegion    string `json:"awsRegion"`
}

func (s *Server) readSink(kind string, raw json.RawMessage) (streamSink, *problem) {
	if kind == streamHTTP {
		return s.readHTTPSink(raw)
	}
	var req bridgeSinkRequest
	if failed := decodeStrict(raw, "sink.", &req); failed != nil {
		return streamSink{}, failed
	}
	switch {
	case req.AWSAccountID == "":
		return streamSink{}, missing("sink.awsAccountId")
	case req.AWSRegion == "":
		return streamSink{}, missing("sink.awsRegion")
	case !accountForm.MatchString(req.AWSAccountID):
		return streamSink{}, noPattern("sink.awsAccountId", accountForm, req.AWSAccountID)
	case !regionForm.MatchString(req.AWSRegion):
		return streamSink{}, noEnum("sink.awsRegion", req.AWSRegion)
	}
	return streamSink{AWSAccountID: req.AWSAccountID, AWSRegion: req.AWSRegion}, nil
}

// What accounts, Regions and endpoints look like. Auth0 lists the Regions one by
// one; a list here would age.
var (
	accountForm  = regexp.MustCompile(`^\d{12}$`)
	regionForm   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	endpointForm = regexp.MustCompile(`^https://.*`)
	headerForm   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
)

// The content formats of http streams.
const (
	formatArray  = "JSONARRAY"
	formatLines  = "JSONLINES"
	formatObject = "JSONOBJECT"
)

func (s *Server) readHTTPSink(raw json.RawMessage) (streamSink, *problem) {
	var req httpSinkRequest
	if failed := decodeStrict(raw, "sink.", &req); failed != nil {
		return streamSink{}, failed
	}
	endpoint, err := url.Parse(req.Endpoint)
	switch {
	case req.Endpoint == "":
		return streamSink{}, missing("sink.httpEndpoint")
	case err != nil || endpoint.Host == "",
		!endpointForm.MatchString(req.Endpoint) && (!s.opts.Streams.LoopbackHTTP || endpoint.Scheme != "http" || !isLoopback(endpoint.Hostname())):
		return streamSink{}, noPattern("sink.httpEndpoint", endpointForm, req.Endpoint)
	}
	sink := streamSink{
		Endpoint: req.Endpoint, Authorization: req.Authorization, CustomHeaders: req.CustomHeaders,
		ContentFormat: cmp.Or(req.ContentFormat, formatLines), ContentType: cmp.Or(req.ContentType, "application/json"),
	}
	if !slices.Contains([]string{formatArray, formatLines, formatObject}, sink.ContentFormat) {
		return streamSink{}, noEnum("sink.httpContentFormat", req.ContentFormat)
	}
	for i, h := range req.CustomHeaders {
		if !headerForm.MatchString(h.Header) {
			return streamSink{}, noPattern(fmt.Sprintf("sink.httpCustomHeaders[%d].header", i), headerForm, h.Header)
		}
	}
	return sink, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// categories are the names of filters, piiFields what may be masked (OpenAPI
// description of the Management API).
var (
	categories = strings.Fields(`auth.login.fail auth.login.notification auth.login.success auth.logout.fail
		auth.logout.success auth.signup.fail auth.signup.success auth.silent_auth.fail auth.silent_auth.success
		auth.token_exchange.fail auth.token_exchange.success management.fail management.success scim.event
		system.notification user.fail user.notification user.success actions other`)
	piiFields = strings.Fields("first_name last_name username email phone address")
)

// securityFilter is what a prioritized stream shows; nobody can ask for it.
var securityFilter = streamFilter{Type: "category", Name: "security"}

// complete validates what both requests share, and fills in what they left open.
func (l *logStream) complete() *problem {
	if l.IsPriority {
		l.Filters = []streamFilter{securityFilter}
	} else {
		for i, f := range l.Filters {
			at := fmt.Sprintf("filters[%d].", i)
			if f.Type != "category" {
				return noEnum(at+"type", f.Type)
			}
			if !slices.Contains(categories, f.Name) {
				return noEnum(at+"name", f.Name)
			}
		}
	}
	return l.completePII()
}

func (l *logStream) completePII() *problem {
	if l.PII == nil {
		return nil
	}
	pii := *l.PII // the stream as it was keeps its own
	pii.Method, pii.Algorithm = cmp.Or(pii.Method, piiMask), cmp.Or(pii.Algorithm, piiAlgorithm)
	l.PII = &pii
	switch i := slices.IndexFunc(pii.LogFields, func(f string) bool { return !slices.Contains(piiFields, f) }); {
	case pii.LogFields == nil:
		return missing("pii_config.log_fields")
	case i >= 0:
		return noEnum(fmt.Sprintf("pii_config.log_fields[%d]", i), pii.LogFields[i])
	case pii.Method != piiMask && pii.Method != piiHash:
		return noEnum("pii_config.method", pii.Method)
	case pii.Algorithm != piiAlgorithm:
		return noEnum("pii_config.algorithm", pii.Algorithm)
	}
	return nil
}

// decodeStrict reads a JSON object whose members must all be known. at is where
// it stands within the body.
func decodeStrict(body []byte, at string, v any) *problem {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil && dec.More() {
		err = errors.New("more than one value")
	}
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		found, _, _ := strings.Cut(wrong.Value, " ")
		if wrong.Field == "" {
			return badBody("'Expected type object but found type " + found + "'.")
		}
		return badBody(fmt.Sprintf("'Expected type %s but found type %s' on property %s.", jsonType(wrong), found, at+wrong.Field))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return badBody("'Additional properties not allowed: " + strings.Trim(name, `"`) + "'.")
	}
	return badBody("'Expected a JSON object with the properties that are documented'.")
}

// jsonType is what JSON calls the type that a member should have had.
func jsonType(wrong *json.UnmarshalTypeError) string {
	switch kind := wrong.Type.Kind().String(); kind {
	case "bool":
		return "boolean"
	case "slice":
		return "array"
	case "struct":
		return "object"
	default:
		return kind
	}
}

// missing, noEnum and noPattern are answers to bodies that do not fit.
func missing(property string) *problem {
	return badBody("'Missing required property: " + property + "'.")
}

func noEnum(property, value string) *problem {
	return badBody(fmt.Sprintf("'No enum match for: %s' on property %s.", value, property))
}

func noPattern(property string, form *regexp.Regexp, value string) *problem {
	return badBody(fmt.Sprintf("'String does not match pattern %s: %s' on property %s.", form, value, property))
}
