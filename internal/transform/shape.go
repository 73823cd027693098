package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// MaxCopyBytes is how much of a value a message gets a second time: the content
	// of a text as JSON writes it, or a number.
	MaxCopyBytes = 256
	// maxAdded is the most that a value takes, with its quotes.
	maxAdded = MaxCopyBytes + 2
	// constantPrefix begins the word for a constant text.
	constantPrefix = "text:"
)

// Errors of NewShape.
var (
	errMemberName     = errors.New("it is no name of 1 to 64 letters, digits, '.', '_' and '-'")
	errMemberReserved = errors.New("the event is read by the member of that name")
	errFieldWord      = errors.New("unknown word")
	errCopyPath       = errors.New("it is no path such as details.request.ip")
	errMemberTwice    = errors.New("the name stands in fields and in copy")
)

// The forms of a name and of a path. What they leave out means something to gjson.
var (
	memberForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	copyForm   = regexp.MustCompile(`^[A-Za-z0-9$_-]+(\.[A-Za-z0-9$_-]+){0,15}$`)
)

// ReservedMembers are the members by which an event is read and trimmed. A member
// that is added under one of these names would make another event of the message,
// also for whoever looks for what has arrived.
func ReservedMembers() []string {
	return []string{"_id", "data", "date", "detail", "detail-type", "details", "gapless", "log_id", "logs", "type"}
}

// FieldWords are what a member that is added may hold.
//
//	tenant      the name of the tenant in the configuration
//	type_title  Auth0's name of the type, such as Success Login
//	category    the category of the type, such as auth.login.fail
//	severity    info, warning, error or critical
//	source      what brought the event: poll, webhook, sqs or file
//	text:…      a constant text
func FieldWords() []string {
	return []string{"tenant", "type_title", "category", "severity", "source", constantPrefix}
}

// An addedMember is one that a message gets.
type addedMember struct {
	key  []byte // with the colon behind it
	name string
	addedValue
}

// An addedValue is what a member holds.
type addedValue struct {
	// value returns the JSON value, nil for none.
	value func(e event.Event, source string) []byte
	most  int // bytes of the value; at most maxAdded
}

// NewShape makes the shape of a message: the record as it is, with members in front
// of its own. fields says what they hold, by their names, in FieldWords; copies
// names paths of the record, such as details.request.ip, whose values it gets a
// second time. Of a long text the beginning is copied, of objects and arrays
// nothing.
//
// The bytes of the record are not touched: without the members that were added they
// are what they were. A name that the record has itself is its own, and nothing is
// added under it. A record without a log_id is left alone: it is known by its bytes,
// by which it must be found again.
//
// growth is the most that a message gets longer, in bytes. Without any fields and
// copies the shape is nil.
func NewShape(tenant string, fields, copies map[string]string) (shape pipeline.Shape, growth int, err error) {
	var members []addedMember
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		word, err := fieldOf(fields[name], tenant)
		if err == nil {
			err = checkMemberName(name)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("fields: %s: %w", name, err)
		}
		members = append(members, newAdded(name, word))
	}
	for _, name := range slices.Sorted(maps.Keys(copies)) {
		path := copies[name]
		_, twice := fields[name]
		switch err = checkMemberName(name); {
		case err == nil && twice:
			err = errMemberTwice
		case err == nil && !copyForm.MatchString(path):
			err = fmt.Errorf("path %q: %w", path, errCopyPath)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("copy: %s: %w", name, err)
		}
		members = append(members, newAdded(name, addedValue{func(e event.Event, _ string) []byte { return copyOf(valueAt(e.Raw, path)) }, maxAdded}))
	}
	if len(members) == 0 {
		return nil, 0, nil
	}
	for _, m := range members {
		growth += len(m.key) + m.most + 1 // and a comma
	}
	return func(e event.Event, source string) []byte { return addMembers(members, e, source) }, growth, nil
}

// newAdded makes a member.
func newAdded(name string, h addedValue) addedMember {
	return addedMember{key: append(jsonTextCut(name), ':'), name: name, addedValue: h}
}

// checkMemberName refuses a name that no member may be added under.
func checkMemberName(name string) error {
	if !memberForm.MatchString(name) {
		return errMemberName
	}
	if slices.Contains(ReservedMembers(), name) {
		return errMemberReserved
	}
	return nil
}

// fieldOf returns what a word stands for.
func fieldOf(word, tenant string) (addedValue, error) {
	if text, ok := strings.CutPrefix(word, constantPrefix); ok {
		return constantValue(text), nil
	}
	switch word {
	case "tenant":
		return constantValue(tenant), nil
	case "type_title":
		return addedValue{func(e event.Event, _ string) []byte { return jsonTextOrNone(event.Lookup(e.Type).Title) }, maxAdded}, nil
	case "category":
		return addedValue{func(e event.Event, _ string) []byte { return jsonTextOrNone(event.Lookup(e.Type).Category) }, maxAdded}, nil
	case "severity":
		return addedValue{func(e event.Event, _ string) []byte { return jsonTextCut(event.Lookup(e.Type).Severity.String()) }, len(`"critical"`)}, nil
	case "source":
		return addedValue{func(_ event.Event, source string) []byte { return jsonTextOrNone(source) }, maxAdded}, nil
	default:
		return addedValue{}, fmt.Errorf("%w %q: known are %s and %s with a text behind it", errFieldWord, word, strings.Join(FieldWords()[:5], ", "), constantPrefix)
	}
}

// constantValue is the same for every event.
func constantValue(text string) addedValue {
	value := jsonTextCut(text)
	return addedValue{func(event.Event, string) []byte { return value }, len(value)}
}

// jsonTextOrNone returns a JSON text, nil for an empty one.
func jsonTextOrNone(s string) []byte {
	if s == "" {
		return nil
	}
	return jsonTextCut(s)
}

// jsonTextCut returns a JSON text, cut to what may be added.
func jsonTextCut(s string) []byte {
	if isPlainText(s) {
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return nil
	}
	return cutJSONText(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// isPlainText reports whether a text is short and needs no escape.
func isPlainText(s string) bool {
	if len(s) > MaxCopyBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// addMembers puts members in front of those of a record.
func addMembers(members []addedMember, e event.Event, source string) []byte {
	raw := e.Raw
	own, most := make([]bool, len(members)), len(raw)
	names, ok := topNames(raw, func(name []byte) {
		for i := range members {
			own[i] = own[i] || string(name) == members[i].name
		}
	})
	if !ok || strings.HasPrefix(e.LogID, event.SyntheticPrefix) {
		return raw
	}
	for _, m := range members {
		most += len(m.key) + m.most + 1
	}
	open := bytes.IndexByte(raw, '{') + 1
	out := append(make([]byte, 0, most), raw[:open]...)
	for i, m := range members {
		if own[i] {
			continue
		}
		value := m.value(e, source)
		if value == nil {
			continue
		}
		if len(out) > open {
			out = append(out, ',')
		}
		out = append(append(out, m.key...), value...)
	}
	if len(out) > open && names > 0 {
		out = append(out, ',')
	}
	return append(out, raw[open:]...)
}

// topNames calls each for the names of an object's members, and returns how many
// there are. It reports false for what is no object. It takes what is within a member
// to be valid: records have been read before.
func topNames(raw []byte, each func(name []byte)) (n int, ok bool) {
	rest := bytes.TrimLeft(raw, " \t\r\n")
	if len(rest) == 0 || rest[0] != '{' {
		return 0, false
	}
	depth, key := 0, false // key says that the next text is a name
	for len(rest) > 0 {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '"':
			end := jsonTextEnd(rest)
			if end < 0 {
				return 0, false
			}
			if key {
				n++
				each(plainName(rest[:end]))
			}
			rest, key = rest[end+1:], false
		case '{', '[':
			depth++
			key = depth == 1
		case ',':
			key = depth == 1
		case '}', ']':
			if depth--; depth == 0 {
				return n, c == '}' && len(bytes.TrimLeft(rest, " \t\r\n")) == 0
			}
		}
	}
	return 0, false
}

// jsonTextEnd returns where the quote is that ends a JSON text; -1 for none.
func jsonTextEnd(content []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(content[from:], '"')
		if at < 0 {
			return -1
		}
		at += from
		before := at
		for before > 0 && content[before-1] == '\\' {
			before--
		}
		if (at-before)%2 == 0 {
			return at
		}
		from = at + 1
	}
}

// plainName returns what a name says, given what is between its quotes.
func plainName(content []byte) []byte {
	if bytes.IndexByte(content, '\\') < 0 {
		return content
	}
	var name string
	if json.Unmarshal(slices.Concat([]byte{'"'}, content, []byte{'"'}), &name) != nil {
		return content
	}
	return []byte(name)
}

// valueAt returns the value at a path of a record; in an envelope, which is there only
// where it alone names the event, the event is under "data".
func valueAt(raw []byte, path string) gjson.Result {
	v := gjson.GetBytes(raw, path)
	if v.Exists() || gjson.GetBytes(raw, "type").Exists() || gjson.GetBytes(raw, "date").Exists() {
		return v
	}
	return gjson.GetBytes(raw, "data."+path)
}

// copyOf returns a value as it may stand in a message a second time; nil for none.
func copyOf(v gjson.Result) []byte {
	switch v.Type {
	case gjson.String:
		return cutJSONText([]byte(v.Raw))
	case gjson.Number:
		if len(v.Raw) <= MaxCopyBytes {
			return []byte(v.Raw)
		}
	case gjson.True, gjson.False:
		return []byte(v.Raw)
	case gjson.Null, gjson.JSON:
	}
	return nil
}

// cutJSONText shortens a JSON text to MaxCopyBytes of content. Neither a character nor
// an escape is cut in two.
func cutJSONText(quoted []byte) []byte {
	if len(quoted) <= maxAdded {
		return quoted
	}
	content, end := quoted[1:len(quoted)-1], 0
	for end < len(content) {
		n := jsonCharLen(content[end:])
		if end+n > MaxCopyBytes {
			break
		}
		end += n
	}
	return append(slices.Clone(quoted[:1+end]), '"')
}

// jsonCharLen returns how many bytes of the content of a JSON text stand for its first
// character; a pair of surrogates is one.
func jsonCharLen(content []byte) int {
	switch {
	case content[0] != '\\':
		_, n := utf8.DecodeRune(content)
		return n
	case content[1] != 'u':
		return 2
	case len(content) >= 12 && content[6] == '\\' && content[7] == 'u' && isSurrogate(content[2:6], "dD", "89abAB") && isSurrogate(content[8:12], "dD", "cdefCDEF"):
		return 12
	default:
		return 6
	}
}

// isSurrogate reports whether the first two of four hexadecimal digits are among some.
func isSurrogate(hex []byte, first, second string) bool {
	return strings.IndexByte(first, hex[0]) >= 0 && strings.IndexByte(second, hex[1]) >= 0
}
