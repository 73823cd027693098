package insights_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/insights"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// began is when the events of the tests happened.
var began = time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)

// evaluate runs a query over messages that come a minute apart. A row is written as
// name=value, with a space between.
func evaluate(t *testing.T, query string, messages ...string) []string {
	t.Helper()
	q, err := insights.Parse(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	run := q.Run()
	for i, m := range messages {
		at := began.Add(time.Duration(i) * time.Minute)
		if err := run.Add(insights.Event{At: at, Ingested: at.Add(2 * time.Second), Stream: "logs", Message: []byte(m), Pointer: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := run.Rows()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		var fields []string
		for _, f := range r {
			if f.Name != "@ptr" {
				fields = append(fields, f.Name+"="+f.Value)
			}
		}
		out = append(out, strings.Join(fields, " "))
	}
	return out
}

// logins are events of a night.
var logins = []string{
	`{"type":"fp","user_name":"ann","ip":"192.0.2.1","n":2,"details":{"prompts":[{"name":"x"}]}}`,
	`{"type":"fp","user_name":"ann","ip":"192.0.2.2","n":10}`,
	`{"type":"limit_wc","user_name":"ann","ip":"192.0.2.2","n":3}`,
	`{"type":"s","user_name":"ben","ip":"192.0.2.3"}`,
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]string{
		`filter type in ["fp"] | fields user_name, ip | sort @timestamp asc`: {"user_name=ann ip=192.0.2.1", "user_name=ann ip=192.0.2.2"},
		`fields ip | limit 1`: {"ip=192.0.2.3"}, // the newest first
		`filter type not in ["fp", "s"] | fields @timestamp, type`:                                                          {"@timestamp=2026-11-27 01:04:03.000 type=limit_wc"},
		`filter n > 2 and n < 10 or type = "s" | fields type | sort type asc`:                                               {"type=limit_wc", "type=s"},
		`filter type != "fp" and not ispresent(n) | fields user_name`:                                                       {"user_name=ben"},
		`filter type like /^limit|^S$/ or type like "mit_" | fields type`:                                                   {"type=limit_wc"},
		`filter details.prompts.0.name = "x" | fields n * 3 + 1 as m, n/4 as q`:                                             {"m=7 q=0.5000"},
		`stats count(*) as c, count_distinct(ip) as ips, earliest(type) as a, latest(type) as b by user_name | sort c desc`: {"user_name=ann c=3 ips=2 a=fp b=limit_wc", "user_name=ben c=1 ips=1 a=s b=s"},
		`stats sum(n) as s, avg(n) as a, min(n) as lo, max(n) as hi, pct(n, 50) as p`:                                       {"s=15 a=5 lo=2 hi=10 p=3"},
		`stats count(*) by bin(1h)`: {"bin(1h)=2026-11-27 01:00:00.000 count(*)=4"},
		`stats count(*) as c by user_name, ip | stats count(*) as ips by user_name | filter ips > 1`:         {"user_name=ann ips=2"},
		`fields (toMillis(@ingestionTime) - toMillis(@timestamp)) / 1000 as s | limit 1`:                     {"s=2"},
		`parse @message /"ip":"(?<net>\d+)\./ | filter type = "s" | fields net, coalesce(nothing, net) as x`: {"net=192 x=192"},
		"# a remark\nfilter `user_name` = 'ben' # and another\n| fields toupper(user_name) as u":             {"u=BEN"},
		`filter type = "nothing" | fields type`:                                                              nil,
	} {
		if d := cmp.Diff(want, evaluate(t, query, logins...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", query, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		``:                             "a command is missing",
		`filter type = "a" |`:          "a command is missing",
		`pattern @message`:             "the command pattern is not known here",
		`filter type = `:               `expected a value, and the query ends`,
		`filter type in "a"`:           `expected "[" before "\"a\""`,
		`filter type like 3`:           `expected a text or a regular expression before "3"`,
		`filter type like /(/`:         "the regular expression cannot be read: error parsing regexp: missing closing ): `(`",
		`filter jsonParse(a) = 1`:      "the function jsonParse is not known here",
		`filter strlen(a, b) = 1`:      "strlen takes 1 arguments and not 2",
		`filter a = "b`:                `" is not closed`,
		`stats median(a)`:              `the function of statistics "median" is not known here`,
		`stats count(*) by bin(5y)`:    "bin takes a span such as 5m or 1h",
		`limit 0`:                      "limit takes a number above 0",
		`fields a; b`:                  `unexpected ';'`,
		`parse @message "user=*" as u`: `parse takes a regular expression here, such as /user=(?<user>\S+)/`,
	} {
		_, err := insights.Parse(query)
		if e, ok := errors.AsType[*insights.SyntaxError](err); !ok || e.Problem != want {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

// TestSavedQueries evaluates each of the queries that setup saves.
func TestSavedQueries(t *testing.T) {
	t.Parallel()
	for _, s := range stack.SavedQueries() {
		q, err := insights.Parse(s.Text)
		if err != nil {
			t.Errorf("%s: %v", s.Title, err)
			continue
		}
		if len(q.Columns()) < 2 {
			t.Errorf("%s: columns %q", s.Title, q.Columns())
		}
	}
	blocked := savedQuery(t, "Accounts and addresses blocked")
	got := evaluate(t, blocked, logins...)
	want := []string{"@timestamp=2026-11-27 01:04:03.000 type=limit_wc user_name=ann ip=192.0.2.2"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("who was locked out (-want +got):\n%s", d)
	}
}

// savedQuery returns the text of a saved query.
func savedQuery(t *testing.T, title string) string {
	t.Helper()
	for _, s := range stack.SavedQueries() {
		if s.Title == title {
			return s.Text
		}
	}
	t.Fatalf("there is no query %s", title)
	return ""
}

// FuzzParse reads any text: it is refused with a place within it, or can be evaluated.
func FuzzParse(f *testing.F) {
	for _, s := range stack.SavedQueries() {
		f.Add(s.Text)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := insights.Parse(query)
		if err != nil {
			if e, ok := errors.AsType[*insights.SyntaxError](err); !ok || e.Offset < 0 || e.Offset > len(query) {
				t.Errorf("%q: %v", query, err)
			}
			return
		}
		run := q.Run()
		for _, m := range logins {
			if err := run.Add(insights.Event{At: began, Message: []byte(m)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := run.Rows(); err != nil {
			t.Fatal(err)
		}
	})
}
