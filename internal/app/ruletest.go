package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// RuleTestKey is the key of hashes in tests of rules, in the place of redact.key: a
// test needs no secret, and has the same result on every machine.
const RuleTestKey = "the key of gapless config test"

// AnyHash stands for any hash in what a test wants.
const AnyHash = "hmac-sha256:*"

// reasonWithheld is the reason of a test for an event that redaction withholds.
const reasonWithheld = "withheld"

// A RuleTestResult is what became of a test.
type RuleTestResult struct {
	Test config.RuleTest
	// Kept says that the event is sent; Reason is the counted reason where it is not,
	// and Words say more.
	Kept          bool
	Reason, Words string
	Destination   pipeline.Destination
	Message       []byte
	// Failures are what is not as the test wants it; none when it passes.
	Failures []RuleTestFailure
}

// A RuleTestFailure is a thing that is not as a test wants it. Want and Got may hold
// what the event holds.
type RuleTestFailure struct {
	At config.Origin
	// What names it: a key of the test, with the path where there is one.
	What      string
	Want, Got string
}

// RunRuleTest does to the event of a test what is done between Auth0 and CloudWatch
// Logs, and compares. Each test is on its own. The event is taken for one of now: its
// age decides nothing. The error says that the rules cannot be read.
func RunRuleTest(ctx context.Context, cfg *config.Config, test config.RuleTest) (RuleTestResult, error) {
	out := RuleTestResult{Test: test}
	for _, t := range cfg.Tenants {
		if t.Name != test.Tenant {
			continue
		}
		if !t.Redact.Key.IsZero() {
			key, err := config.ParseSecret(RuleTestKey)
			if err != nil {
				return out, fmt.Errorf("make the key of tests: %w", err)
			}
			t.Redact.Key = key
		}
		rules, err := NewRules(ctx, t, config.Resolver{})
		if err != nil {
			return out, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		if err := out.apply(rules); err != nil {
			return out, err
		}
	}
	for _, want := range test.Want {
		if f, ok := out.compare(want); !ok {
			f.At = want.At
			out.Failures = append(out.Failures, f)
		}
	}
	return out, nil
}

// apply puts the event through the rules.
func (r *RuleTestResult) apply(rules *Rules) error {
	e, err := event.Parse(r.Test.Event, time.Now())
	if err != nil {
		return fmt.Errorf("read the event of %q: %w", r.Test.Name, err)
	}
	x := rules.Apply(e, r.Test.Source, e.Date)
	r.Reason, r.Destination, r.Message = x.LeftOut, x.Destination, x.Preview.Message
	switch {
	case x.LeftOut != "":
		r.Words = rules.Explain(e).Words
	case x.Withheld != "":
		r.Reason, r.Words = reasonWithheld, x.Withheld
	case x.Preview.Rejected != "":
		r.Reason, r.Words = x.Preview.Rejected, "it would become a dead letter"
	}
	r.Kept = r.Reason == ""
	return nil
}

// fate says what became of the event.
func (r *RuleTestResult) fate() string {
	if r.Kept {
		return "kept"
	}
	s := "not kept: " + r.Reason
	if r.Words != "" {
		s += " (" + r.Words + ")"
	}
	return s
}

// compare compares one thing. A failure comes without its place.
func (r *RuleTestResult) compare(want config.Expectation) (RuleTestFailure, bool) {
	f := RuleTestFailure{What: string(want.Kind), Want: want.Text}
	switch want.Kind {
	case config.KeptExpected:
		f.Got = strconv.FormatBool(r.Kept)
		ok := f.Got == f.Want
		if !r.Kept {
			f.Got = r.fate()
		}
		return f, ok
	case config.ReasonExpected:
		f.Got = r.fate()
		return f, r.Reason == want.Text
	default:
		return r.compareSent(f, want)
	}
}

// compareSent compares a thing of what is sent.
func (r *RuleTestResult) compareSent(f RuleTestFailure, want config.Expectation) (RuleTestFailure, bool) {
	switch want.Kind {
	case config.ValueExpected:
		f.What += " " + want.Name
	case config.AbsentExpected:
		f.What, f.Want = f.What+" "+want.Text, "nothing"
	case config.NowhereExpected:
		f.Want = "no " + strconv.Quote(want.Text)
	default: // it says all by itself
	}
	if !r.Kept {
		f.Got = r.fate()
		return f, false
	}
	switch want.Kind {
	case config.GroupExpected:
		f.Got = r.Destination.LogGroup
	case config.StreamExpected:
		f.Got = r.Destination.LogStream
	case config.MessageExpected:
		f.Got = string(r.Message)
	case config.ValueExpected:
		return compareValues(f, valuesAt(want.Path, r.Message))
	case config.AbsentExpected:
		found := valuesAt(want.Path, r.Message)
		f.Got = strings.Join(found, " and ")
		return f, len(found) == 0
	case config.NowhereExpected:
		f.Got = whereIs(want.Text, string(r.Message))
		return f, f.Got == ""
	default: // compare knows the others
	}
	return f, f.Got == f.Want
}

// compareValues compares all values at a path, of which there must be one at least.
func compareValues(f RuleTestFailure, found []string) (RuleTestFailure, bool) {
	if len(found) == 0 {
		f.Got = "nothing there"
		return f, false
	}
	for _, got := range found {
		if !sameJSON(f.Want, got) {
			f.Got = got
			return f, false
		}
	}
	return f, true
}

// sameJSON compares JSON texts by what they say. Numbers are compared as they are
// written, and as numbers.
func sameJSON(want, got string) bool {
	w, g := gjson.Parse(want), gjson.Parse(got)
	if w.Type == gjson.String && w.Str == AnyHash && g.Type == gjson.String {
		return isHash(g.Str)
	}
	if w.Type == gjson.Number && g.Type == gjson.Number {
		return w.Raw == g.Raw || w.Num == g.Num && len(w.Raw) < exactDigits && len(g.Raw) < exactDigits
	}
	var a, b any
	return decodeJSON(want, &a) == nil && decodeJSON(got, &b) == nil && reflect.DeepEqual(a, b)
}

// exactDigits is the length under which two numbers of one value are written in
// two ways, and are not two numbers that a float cannot tell apart.
const exactDigits = 16

// decodeJSON reads a JSON text, with its numbers as they are written.
func decodeJSON(text string, to *any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}

// isHash reports whether a text is what the action hash leaves.
func isHash(text string) bool {
	digits, ok := strings.CutPrefix(text, strings.TrimSuffix(AnyHash, "*"))
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

// whereIs says where a text stands in a message: as it is, in a name or a value
// with its escapes undone, in JSON within a string, or percent-encoded. Upper and
// lower case are one. Empty when it stands nowhere.
func whereIs(text, message string) string {
	text = strings.ToLower(text)
	if holds(text, message) {
		return "it stands in the message"
	}
	place := ""
	eachText(gjson.Parse(message), "", 0, func(path, s string) {
		if place == "" && holds(text, s) {
			place = "it stands in " + path
		}
	})
	return place
}

// holds reports whether a text, in lower case, stands in another, also where that is
// percent-encoded.
func holds(text, in string) bool {
	for range 3 { // encoded twice, as in a URL within a URL
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
		plain := percentEncoded.ReplaceAllStringFunc(in, func(s string) string {
			b, err := hex.DecodeString(s[1:])
			if err != nil { // the pattern lets hexadecimal digits alone through
				return s
			}
			return string(b)
		})
		if plain == in {
			return false
		}
		in = plain
	}
	return false
}

// percentEncoded is a byte as URLs have it.
var percentEncoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// maxTestDepth bounds how deep messages are walked, JSON within strings counted in.
const maxTestDepth = 500

// eachText calls fn for each name and text of a value, by its path.
func eachText(v gjson.Result, path string, depth int, fn func(path, s string)) {
	if depth > maxTestDepth {
		return
	}
	if inner, ok := innerJSON(v); ok {
		fn(path, v.Str)
		eachText(inner, path, depth+1, fn)
		return
	}
	switch {
	case v.IsObject():
		v.ForEach(func(k, m gjson.Result) bool {
			below := strings.TrimPrefix(path+"."+k.Str, ".")
			fn("a name, "+below, k.Str)
			eachText(m, below, depth+1, fn)
			return true
		})
	case v.IsArray():
		i := 0
		v.ForEach(func(_, m gjson.Result) bool {
			eachText(m, fmt.Sprintf("%s[%d]", path, i), depth+1, fn)
			i++
			return true
		})
	default:
		fn(path, v.String())
	}
}

// innerJSON returns the object or array that a text holds as JSON.
func innerJSON(v gjson.Result) (gjson.Result, bool) {
	if v.Type != gjson.String {
		return v, false
	}
	text := strings.TrimSpace(v.Str)
	if text == "" || text[0] != '{' && text[0] != '[' || !gjson.Valid(text) {
		return v, false
	}
	return gjson.Parse(text), true
}

// valuesAt returns the values at a path of a message, as JSON. As in redaction a name
// reaches through arrays, and JSON within a string is walked like any other.
func valuesAt(path event.Path, message []byte) []string {
	w := &valueWalk{seen: make(map[string]bool)}
	w.walk(gjson.ParseBytes(message), path, "", 0)
	if body := event.Body(message); len(body) < len(message) { // in the envelope that alone names it
		w.walk(gjson.ParseBytes(body), path, "body", 0)
	}
	return w.found
}

// A valueWalk collects values.
type valueWalk struct {
	found []string
	seen  map[string]bool // by place: wildcards reach one in many ways
}

// walk collects the values at the rest of a path below one; at is its place.
func (w *valueWalk) walk(v gjson.Result, rest event.Path, at string, depth int) {
	state := at + "\x00" + strconv.Itoa(len(rest))
	if depth > maxTestDepth || w.seen[state] {
		return
	}
	w.seen[state] = true
	if len(rest) == 0 {
		w.found = append(w.found, v.Raw)
		return
	}
	if inner, ok := innerJSON(v); ok {
		v = inner
	}
	if !v.IsObject() && !v.IsArray() {
		return
	}
	step, i := rest[0], 0
	v.ForEach(func(k, m gjson.Result) bool {
		place := at + "/" + strconv.Itoa(i) // not by name: of two with one name both count
		var hit bool
		switch step.Kind {
		case event.NameStep:
			hit = v.IsObject() && k.Str == step.Name
		case event.AnyStep:
			hit = true
		case event.IndexStep:
			hit = v.IsArray() && i == step.Index
		case event.AnyElementStep:
			hit = v.IsArray()
		}
		if hit {
			w.walk(m, rest[1:], place, depth+1)
		}
		if step.Deep || v.IsArray() && step.Kind == event.NameStep {
			w.walk(m, rest, place, depth+1)
		}
		i++
		return true
	})
}
