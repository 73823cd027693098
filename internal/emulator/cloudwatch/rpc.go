package cloudwatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// maxBody bounds a request's body, in bytes, before and after it is unzipped:
// 1 MiB of messages grows to six when every byte of it is escaped.
const maxBody = 16 << 20

const contentType = "application/x-amz-json-1.1"

// A call is a request on its way through the server.
type call struct {
	ctx  context.Context // a call lives no longer than its request
	arns arns
	user *user // nil means that everybody may do everything
}

// An input is what an operation takes.
type input interface {
	// resource returns the names of what the operation works on, as IAM knows
	// them; the first is the one that error messages show.
	resource(a arns) []string
}

// A selfDecoder is an input that reads its body itself, for speed.
type selfDecoder interface {
	decode(body []byte) error
}

// An operation decodes, authorizes and does what is asked for.
type operation func(s *Server, c *call, body []byte) (any, error)

// operationOf makes an operation of a method. A nil answer is an empty body.
func operationOf[I any, P interface {
	*I
	input
}](name string, do func(*Server, *call, P) (any, error)) operation {
	known := members(reflect.TypeFor[I]())
	return func(s *Server, c *call, body []byte) (any, error) {
		in := P(new(I))
		if err := decode(body, in, known); err != nil {
			return nil, err
		}
		if err := c.authorize("logs:"+name, in.resource(c.arns)); err != nil {
			return nil, err
		}
		return do(s, c, in)
	}
}

// find returns the operation of that name.
func find(name string) (operation, bool) {
	op, ok := operations()[name]
	return op, ok
}

// operations is the API, built once.
var operations = sync.OnceValue(func() map[string]operation {
	return map[string]operation{
		"AssociateKmsKey":               operationOf("AssociateKmsKey", (*Server).associateKey),
		"CreateLogGroup":                operationOf("CreateLogGroup", (*Server).createLogGroup),
		"CreateLogStream":               operationOf("CreateLogStream", (*Server).createLogStream),
		"DeleteIndexPolicy":             operationOf("DeleteIndexPolicy", (*Server).deleteIndexPolicy),
		"DeleteLogGroup":                operationOf("DeleteLogGroup", (*Server).deleteLogGroup),
		"DeleteLogStream":               operationOf("DeleteLogStream", (*Server).deleteLogStream),
		"DeleteRetentionPolicy":         operationOf("DeleteRetentionPolicy", (*Server).deleteRetentionPolicy),
		"DescribeIndexPolicies":         operationOf("DescribeIndexPolicies", (*Server).describeIndexPolicies),
		"DescribeLogGroups":             operationOf("DescribeLogGroups", (*Server).describeLogGroups),
		"DescribeLogStreams":            operationOf("DescribeLogStreams", (*Server).describeLogStreams),
		"DisassociateKmsKey":            operationOf("DisassociateKmsKey", (*Server).disassociateKey),
		"FilterLogEvents":               operationOf("FilterLogEvents", (*Server).filterLogEvents),
		"GetLogEvents":                  operationOf("GetLogEvents", (*Server).getLogEvents),
		"GetQueryResults":               operationOf("GetQueryResults", (*Server).getQueryResults),
		"ListTagsForResource":           operationOf("ListTagsForResource", (*Server).listTagsForResource),
		"ListTagsLogGroup":              operationOf("ListTagsLogGroup", (*Server).listTagsLogGroup),
		"PutIndexPolicy":                operationOf("PutIndexPolicy", (*Server).putIndexPolicy),
		"PutLogEvents":                  operationOf("PutLogEvents", (*Server).putLogEvents),
		"PutLogGroupDeletionProtection": operationOf("PutLogGroupDeletionProtection", (*Server).putDeletionProtection),
		"PutRetentionPolicy":            operationOf("PutRetentionPolicy", (*Server).putRetentionPolicy),
		"StartQuery":                    operationOf("StartQuery", (*Server).startQuery),
		"StopQuery":                     operationOf("StopQuery", (*Server).stopQuery),
		"TagLogGroup":                   operationOf("TagLogGroup", (*Server).tagLogGroup),
		"TagResource":                   operationOf("TagResource", (*Server).tagResource),
		"UntagLogGroup":                 operationOf("UntagLogGroup", (*Server).untagLogGroup),
		"UntagResource":                 operationOf("UntagResource", (*Server).untagResource),
	}
})

// serveAPI answers a request to the API.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-RequestId", requestID())
	name := Operation(r)
	if name == opCallerIdentity {
		s.serveCallerIdentity(w, r)
		return
	}
	answer, err := s.answer(w, r, name)
	s.stats.called(name, code(err))
	if err != nil {
		emulator.Note(r.Context(), slog.String("error", code(err)))
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	if answer == nil {
		w.Header().Set("Content-Length", "0")
		return
	}
	body, err := encode(answer)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may have left
}

// answer does what the request asks for.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, name string) (any, error) {
	op, ok := find(name)
	if !ok || r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, errUnknownTarget
	}
	raw, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), int(r.ContentLength))
	if err != nil {
		return nil, err
	}
	u, err := s.authenticate(r, raw)
	if err != nil {
		return nil, err
	}
	body, err := unzip(raw, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	region := s.region
	if scope, ok := scopeRegion(r); ok {
		region = scope
	}
	return op(s, &call{ctx: r.Context(), arns: arns{region: region, account: s.account}, user: u}, body)
}

// readAll reads a body whose size is announced, or not (-1).
func readAll(r io.Reader, announced int) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(min(max(announced, 0), maxBody) + bytes.MinRead)
	if _, err := buf.ReadFrom(r); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, errTooLarge
		}
		return nil, fmt.Errorf("read request: %w", err)
	}
	return buf.Bytes(), nil
}

// unzip returns the body as it was before its content encoding.
func unzip(body []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "", "identity", "aws-chunked":
		return body, nil
	case "gzip":
	default:
		return nil, newError("UnsupportedMediaTypeException", "Content-Encoding %s is not supported.", encoding)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, serialization("Unable to unzip the request body")
	}
	plain, err := readAll(io.LimitReader(z, maxBody+1), 8*len(body))
	if err != nil {
		return nil, serialization("Unable to unzip the request body")
	}
	if len(plain) > maxBody {
		return nil, errTooLarge
	}
	return plain, nil
}

// members returns the names of the members of an input.
func members(input reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(input) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// decode reads the body of a request. Members that the operation does not know
// are ignored, as the real service does; encoding/json alone would take those
// that differ in case for known ones.
func decode(body []byte, in any, known []string) error {
	if d, ok := in.(selfDecoder); ok {
		return d.decode(body)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var given map[string]json.RawMessage
	err := json.Unmarshal(body, &given)
	if err == nil {
		maps.DeleteFunc(given, func(name string, _ json.RawMessage) bool { return !slices.Contains(known, name) })
		body, _ = json.Marshal(given) // what was just read always encodes
		err = json.Unmarshal(body, in)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return wrongType(wrong)
	}
	if err != nil {
		return serialization("Unable to parse the request body: %s", err)
	}
	return nil
}

// wrongType words the error for a member of the wrong JSON type.
func wrongType(err *json.UnmarshalTypeError) error {
	want := "String"
	switch err.Type.Kind().String() {
	case "int64":
		want = "Long"
	case "bool":
		want = "Boolean"
	}
	kind, _, _ := strings.Cut(err.Value, " ")
	first := map[string]byte{"string": '"', "bool": 't', "array": '[', "object": '{'}[kind]
	return wrongKind(first, want)
}

// encode writes an answer without escaping what only HTML needs escaped.
func encode(answer any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// code returns the code of an error as the client sees it.
func code(err error) string {
	if err == nil {
		return ""
	}
	return asAPIError(err).code
}

func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return errInternal
}

// writeError answers with an error. One that is not meant for clients, such as a
// full disk, becomes ServiceUnavailableException.
func writeError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	members := map[string]any{"__type": e.code}
	maps.Copy(members, e.extra)
	if e.message != "" {
		members["message"] = e.message
	}
	body, _ := json.Marshal(members) // strings always encode
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-ErrorType", e.code)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	_, _ = w.Write(body) // the client may have left
}

// deref returns what p points at, or the zero value.
func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
