package selector_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/selector"
)

// record is an event with what expressions stumble over: escaped text, a member that
// stands there twice, numbers of all sizes, null.
const record = `{"log_id":"900","date":"2026-11-23T10:00:00.000Z","\u0074ype":"fp","type":"s","ip":"10.1.2.3","client_id":null,
"client_name":"My \u0041pp","isMobile":true,"n":9999999,"details":{"id":12345678901234567,"f":0.5,"list":[1,2,{"a":null}],"id":3}}`

// parse reads an event.
func parse(tb testing.TB, raw string) event.Event {
	tb.Helper()
	e, err := event.Parse([]byte(raw), time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestExpressionMatches(t *testing.T) {
	t.Parallel()
	e := parse(t, record)
	for text, want := range map[string]bool{
		`event.type == "fp"`:                                        true, // the first of the two
		`event["type"] == 'fp'`:                                     true,
		`event.type in ["f", "fp"]`:                                 true,
		`event.ip startsWith "10."`:                                 true,
		`not (event.ip startsWith "10.")`:                           false,
		`event.client_name == "My App"`:                             true,
		`event.client_id == ""`:                                     true, // null is no text
		`event.user_name == ""`:                                     true, // nor is what is not there
		`event.connection contains "x"`:                             false,
		`event.isMobile == true`:                                    true,
		`event.is_mobile == nil`:                                    true,
		`event.details.id == 12345678901234567`:                     true,
		`event.details.f < 1`:                                       true,
		`any(event.details.list, # == 2)`:                           true,
		`event.details?.request?.method == "POST"`:                  false,
		`(event.details.x ?? "none") == "none"`:                     true,
		`category(event.type) startsWith "auth."`:                   true,
		`severity(event.type) == "error"`:                           true,
		`level(event.type) >= 3`:                                    true,
		`level("nobody_knows") == 0`:                                true,
		`date(event.date).Year() == 2026`:                           true,
		`let e = event; e.type == "fp" and e.details.f == 0.5`:      true, // by another name
		`event[event.client_name == "" ? "x" : "ip"] == "10.1.2.3"`: true,
		`$env.event.isMobile == true`:                               true,
		`event.ip matches "^10[.]"`:                                 true,
		"event.type == 'fp' // a remark\n and event.ip != ''":       true,
	} {
		x, err := selector.ParseExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := x.Match(e); got != want || err != nil {
			t.Errorf("%s: %t, %v", text, got, err)
		}
	}
}

// TestExpressionLooksIntoTheEnvelope holds that an event which kept its envelope,
// because nothing else names it, is looked at like any other.
func TestExpressionLooksIntoTheEnvelope(t *testing.T) {
	t.Parallel()
	e := parse(t, `{"log_id":"900","data":{"type":"fp","date":"2026-11-23T10:00:00.000Z","client_id":"abc"}}`)
	x, err := selector.ParseExpression(`event.client_id == "abc" and event.type == "fp" and event.log_id == "900"`)
	if err != nil {
		t.Fatal(err)
	}
	if yes, err := x.Match(e); !yes || err != nil {
		t.Errorf("%t, %v", yes, err)
	}
}

func TestExpressionProblems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "it is empty",
		" \n":                       "it is empty",
		strings.Repeat("x", 10_001): "it is longer than 10000 bytes",
		`evnt.type == "f"`:          "unknown name evnt (line 1, column 1)",
		`event.type == 3`:           "invalid operation: == (mismatched types string and int) (line 1, column 12)",
		`event.type`:                "it must be true or false for an event, such as by a comparison",
		`event.details.admin`:       "it must be true or false for an event, such as by a comparison",
		`now() > date(event.date)`:  "unknown name now (line 1, column 1)",
		`keys(event)[0] == "type"`:  "unknown name keys (line 1, column 1)",
		`foo(event.type)`:           "unknown name foo (line 1, column 1)",
		`event.type == "f`:          "literal not terminated (line 1, column 17)",
		"event.type == 'f'\nand event.ip matches '('": "error parsing regexp: missing closing ): `(` (line 2, column 14)",
		`level(3) == 1`: "cannot use int as argument (type string) to call level  (line 1, column 7)",
	} {
		_, err := selector.ParseExpression(text)
		if err == nil || err.Error() != want {
			t.Errorf("%.40s: got %v, want %s", text, err, want)
		}
	}
	_, err := selector.ParseExpression("true and\n\tevent.typ = 'é' or é")
	e, ok := errors.AsType[*selector.ExpressionError](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	if d := cmp.Diff(" event.typ = 'é' or é\n           ^", e.Excerpt); d != "" {
		t.Errorf("excerpt (-want +got):\n%s", d)
	}
	many := "true" + strings.Repeat(" or true", 600)
	if _, err := selector.ParseExpression(many); err == nil {
		t.Error("an expression of 1,200 parts is taken")
	}
}

// TestExpressionFails holds that an expression which fails says where and, to a log,
// nothing of the event; and that its memory has a bound.
func TestExpressionFails(t *testing.T) {
	t.Parallel()
	e := parse(t, record)
	for text, want := range map[string]string{
		`event.details.request.method == "POST"`: "the expression failed at line 1, column 23: cannot fetch method from <nil>",
		"true and\nevent.nothing + 1 == 2":       "the expression failed at line 2, column 15: invalid operation: <nil> + int",
		`len(0..event.n) > 3`:                    "the expression failed at line 1, column 6: memory budget exceeded",
		`event.type == "fp" and event.n`:         "the expression failed at line 1, column 1: invalid operation: bool(int)",
		`event.details.list matches "x"`:         "",
	} {
		x, err := selector.ParseExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		yes, err := x.Match(e)
		failed, ok := errors.AsType[*selector.MatchError](err)
		if !ok || yes {
			t.Errorf("%s: %t, %v", text, yes, err)
			continue
		}
		if got := failed.Error() + ": " + failed.Detail; want != "" && got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	x, err := selector.ParseExpression(`"x" matches event.client_name + "("`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Match(e); err == nil || strings.Contains(err.Error(), "My App") {
		t.Errorf("the error quotes the event, or is none: %v", err)
	}
}

func TestExpressionMembers(t *testing.T) {
	t.Parallel()
	x, err := selector.ParseExpression(`event.typ == "f" or event?.details.a == 1 or event["ip"] == "" or event.typ != "x" or any(event.list, .deep == 1)`)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"details", "ip", "list", "typ"}, x.Members()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestExpressionAtTheSameTime(t *testing.T) {
	t.Parallel()
	x, err := selector.ParseExpression(`event.type == event.details.want`)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		e := parse(t, fmt.Sprintf(`{"log_id":"1","type":"t%d","details":{"want":"t%d"}}`, i, i/2*2))
		all.Go(func() {
			for range 200 {
				if yes, err := x.Match(e); yes != (i%2 == 0) || err != nil {
					t.Errorf("event %d: %t, %v", i, yes, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// FuzzExpression holds that no text makes the compiler panic, that its error has the
// right form, and that what it takes ends well or with a MatchError on any record.
func FuzzExpression(f *testing.F) {
	f.Add(`event.type == "f"`, record)
	f.Add(`any(event.details.list, # > 1) ? level(event.type) == 1 : event["\u0000"] == nil`, `{"log_id":"1","details":{"list":[1,"x"]}}`)
	f.Add("let x = event; x.a?.b[0] ?? true ? true : false", `{"a":{"b":[]}}`)
	f.Add(`repeat(event.type, 99999) matches event.ip`, `{"type":"x","ip":"("}`)
	f.Add("1..1 == [1] | len() > 0", "{}")
	f.Fuzz(func(t *testing.T, text, raw string) {
		x, err := selector.ParseExpression(text)
		if err != nil {
			if e, ok := errors.AsType[*selector.ExpressionError](err); !ok || e.Problem == "" || strings.Contains(e.Problem, "\n") {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		e, err := event.Parse([]byte(raw), time.Unix(1e9, 0))
		if err != nil {
			return
		}
		yes, err := x.Match(e)
		if _, ok := errors.AsType[*selector.MatchError](err); err != nil && (!ok || yes) {
			t.Errorf("%q: %t, %#v", text, yes, err)
		}
		if again, err2 := x.Match(e); again != yes || (err2 == nil) != (err == nil) {
			t.Errorf("%q: %t and %t on the same event", text, yes, again)
		}
	})
}
