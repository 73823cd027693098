package provision_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// standIn is as much of CloudWatch Logs and CloudWatch as the provider speaks with. Lists
// come in pages of two.
type standIn struct {
	queries []standInQuery
	filters []map[string]any
	// answers are of CloudWatch by action: the result in XML.
	answers map[string]string
	// faults are codes of errors that come before answers, by operation.
	faults map[string][]string
	calls  []string
	tokens []string
	nextID int
}

type standInQuery struct {
	ID     string   `json:"queryDefinitionId"` //nolint:tagliatelle // AWS's names
	Name   string   `json:"name"`
	Text   string   `json:"queryString"`   //nolint:tagliatelle // AWS's names
	Groups []string `json:"logGroupNames"` //nolint:tagliatelle // AWS's names
}

// provider returns the provider in front of the stand-in.
func (s *standIn) provider(t *testing.T) provision.Provider {
	t.Helper()
	return insightsOver(t, s)
}

// insightsOver returns the provider in front of an endpoint in process.
func insightsOver(t *testing.T, endpoint aws.HTTPClient) provision.Provider {
	t.Helper()
	a, err := provision.NewAWS(t.Context(), config.AWS{Region: "eu-central-1", Endpoint: "http://aws.test"}, provision.AWSOptions{
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""), HTTPClient: endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return provision.NewInsights(a, "gapless")
}

// Do answers a request in process.
func (s *standIn) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if target, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328."); ok {
		s.logs(w, r, target)
	} else {
		s.metrics(w, r)
	}
	return w.Result(), nil
}

// fault takes the next fault of an operation.
func (s *standIn) fault(op string) (code string) {
	s.calls = append(s.calls, op)
	if codes := s.faults[op]; len(codes) > 0 {
		code, s.faults[op] = codes[0], codes[1:]
	}
	return code
}

func (s *standIn) logs(w http.ResponseWriter, r *http.Request, op string) {
	var in struct {
		standInQuery
		QueryDefinitionNamePrefix, FilterNamePrefix, FilterName, ClientToken, NextToken string
	}
	body := map[string]any{}
	raw := json.NewDecoder(r.Body)
	var all json.RawMessage
	if raw.Decode(&all) != nil || json.Unmarshal(all, &in) != nil || json.Unmarshal(all, &body) != nil {
		http.Error(w, "bad body", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if code := s.fault(op); code != "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":%q,"message":"User is not authorized"}`, code)
		return
	}
	out := map[string]any{}
	switch op {
	case "DescribeQueryDefinitions":
		named := slices.DeleteFunc(slices.Clone(s.queries), func(q standInQuery) bool { return !strings.HasPrefix(q.Name, in.QueryDefinitionNamePrefix) })
		out["queryDefinitions"], out["nextToken"] = twoOf(named, in.NextToken)
	case "PutQueryDefinition":
		s.tokens = append(s.tokens, in.ClientToken)
		out["queryDefinitionId"] = s.putQuery(in.standInQuery)
	case "DeleteQueryDefinition":
		s.queries = slices.DeleteFunc(s.queries, func(q standInQuery) bool { return q.ID == in.ID })
	case "DescribeMetricFilters":
		named := slices.DeleteFunc(slices.Clone(s.filters), func(f map[string]any) bool { return !strings.HasPrefix(f["filterName"].(string), in.FilterNamePrefix) }) //nolint:errcheck // always a text
		out["metricFilters"], out["nextToken"] = twoOf(named, in.NextToken)
	case "PutMetricFilter", "DeleteMetricFilter":
		s.filters = slices.DeleteFunc(s.filters, func(f map[string]any) bool { return f["filterName"] == in.FilterName })
		if op == "PutMetricFilter" {
			s.filters = append(s.filters, body)
		}
	}
	if out["nextToken"] == "" {
		delete(out, "nextToken")
	}
	_ = json.NewEncoder(w).Encode(out)
}

// twoOf returns two of a list from the token on, and the token behind them.
func twoOf[T any](list []T, token string) (page []T, next string) {
	from, _ := strconv.Atoi(token)
	page = list[min(from, len(list)):min(from+2, len(list))]
	if from+2 < len(list) {
		next = strconv.Itoa(from + 2)
	}
	return page, next
}

func (s *standIn) putQuery(q standInQuery) string {
	if i := slices.IndexFunc(s.queries, func(x standInQuery) bool { return x.ID == q.ID }); i >= 0 {
		s.queries[i] = q
		return q.ID
	}
	s.nextID++
	q.ID = fmt.Sprintf("id-%d", s.nextID)
	s.queries = append(s.queries, q)
	return q.ID
}

func (s *standIn) metrics(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("Version") != "2010-08-01" {
		http.Error(w, "no query of CloudWatch", http.StatusBadRequest)
		return
	}
	op := r.PostForm.Get("Action")
	w.Header().Set("Content-Type", "text/xml")
	if code := s.fault(op); code != "" {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code)
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, op, s.answers[op])
}

func TestSavedQueries(t *testing.T) {
	t.Parallel()
	s := &standIn{}
	s.nextID = 10
	for _, name := range []string{"gapless/a/Logins failed by user and more", "gapless/a/Logins failed by users", "mine"} {
		s.putQuery(standInQuery{Name: name, Text: "limit 3"})
	}
	strangers := slices.Clone(s.queries)
	p := s.provider(t)
	q := &stack.Query{Region: "eu-central-1", Name: "gapless/a/Logins failed by user", Groups: []string{"/auth0/a"}, Text: "filter type = \"f\"\n| limit 5"}
	makeAndFind(t.Context(), t, p, q)
	changeAndFind(t.Context(), t, p, q)
	if len(s.queries) != 4 {
		t.Errorf("%d queries", len(s.queries))
	}
	for i, token := range s.tokens {
		if len(token) < 36 || slices.Contains(s.tokens[:i], token) {
			t.Errorf("token %q of call %d is too short for AWS, or that of another call", token, i)
		}
	}
	s.putQuery(standInQuery{Name: q.Name, Text: "limit 7"})
	have, err := p.Find(t.Context(), q, nil)
	if err != nil || !strings.Contains(have.Note, "2 saved queries of this name") {
		t.Errorf("a second one of that name: %+v, %v", have, err)
	}
	removeTwice(t.Context(), t, p, q)
	if d := cmp.Diff(strangers, s.queries); d != "" {
		t.Errorf("those of others (-before +after):\n%s", d)
	}
}

func TestMetricFilters(t *testing.T) {
	t.Parallel()
	f := &stack.MetricFilter{Region: "eu-central-1", Group: "/auth0/a", Name: "gapless-a-logins", Pattern: `{ ($.type = "s") }`, Namespace: "gapless/a", Metric: "Logins"}
	s := &standIn{}
	for _, name := range []string{"gapless-a-logins-failed", "gapless-a-logins-at-risk", "gapless-a-loginsx"} {
		s.filters = append(s.filters, map[string]any{"filterName": name})
	}
	p := s.provider(t)
	makeAndFind(t.Context(), t, p, f)
	changeAndFind(t.Context(), t, p, f)
	removeTwice(t.Context(), t, p, f)
	if len(s.filters) != 3 {
		t.Errorf("%d filters of others are left", len(s.filters))
	}
	s.faults = map[string][]string{"DescribeMetricFilters": {"ResourceNotFoundException"}, "DeleteMetricFilter": {"ResourceNotFoundException"}}
	if have, err := p.Find(t.Context(), f, nil); err != nil || have.Resource != nil {
		t.Errorf("without the group: %+v, %v", have, err)
	}
	if err := p.Remove(t.Context(), provision.Found{Resource: f}); err != nil {
		t.Errorf("remove without the group: %v", err)
	}
	s.filters = []map[string]any{{
		"filterName": f.Name, "filterPattern": f.Pattern, "applyOnTransformedLogs": true, "fieldSelectionCriteria": "x",
		"metricTransformations": []any{map[string]any{
			"metricName": "Logins", "metricNamespace": "gapless/a", "metricValue": "$.n", "dimensions": map[string]any{"a": "$.a"}, "unit": "Bytes",
		}, map[string]any{"metricName": "Y"}},
	}}
	have, err := p.Find(t.Context(), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "Logins (counting $.n, without the value 0 where nothing matches, with dimensions, and others, in Bytes, on transformed events, of chosen sources)"
	if got, ok := have.Resource.(*stack.MetricFilter); !ok || got.Metric != want {
		t.Errorf("a filter that counts otherwise: %+v", have.Resource)
	}
}

// oddAlarm is an alarm that somebody has changed in all that a stack has no words for.
const oddAlarm = `<MetricAlarms><member><AlarmName>gapless-a-logins</AlarmName><AlarmArn>arn:aws:cloudwatch:eu-central-1:123456789012:alarm:gapless-a-logins</AlarmArn>
<AlarmDescription>d</AlarmDescription><Namespace>gapless/a</Namespace><MetricName>Logins</MetricName><Statistic>Average</Statistic><Period>300</Period>
<ComparisonOperator>LessThanThreshold</ComparisonOperator><Threshold>1.5</Threshold><EvaluationPeriods>3</EvaluationPeriods><TreatMissingData>breaching</TreatMissingData>
<Dimensions><member><Name>a</Name><Value>b</Value></member></Dimensions><Unit>Count</Unit><ActionsEnabled>false</ActionsEnabled>
<Metrics><member><Id>m</Id></member></Metrics><InsufficientDataActions><member>arn:x</member></InsufficientDataActions>
<AlarmActions><member>arn:both</member><member>arn:one</member></AlarmActions><OKActions><member>arn:both</member><member>arn:two</member></OKActions>
</member></MetricAlarms>`

func TestAlarmsOfOthers(t *testing.T) {
	t.Parallel()
	w := &stack.Alarm{Region: "eu-central-1", Name: "gapless-a-logins", Tags: map[string]string{stack.ManagedBy: "gapless"}}
	s := &standIn{answers: map[string]string{
		"DescribeAlarms": oddAlarm, "ListTagsForResource": `<Tags><member><Key>` + stack.ManagedBy + `</Key><Value>another</Value></member></Tags>`,
	}}
	p := s.provider(t)
	have, err := p.Find(t.Context(), w, nil)
	if err != nil || have.Ours {
		t.Fatalf("%+v, %v", have, err)
	}
	if d := cmp.Diff(&stack.Alarm{
		Region: "eu-central-1", Name: "gapless-a-logins", Description: "d", Namespace: "gapless/a", PeriodSeconds: 300, Threshold: 1,
		Metric: "Logins (statistic Average, LessThanThreshold, threshold 1.5, over 3 periods, missing data breaching, with dimensions, of several metrics, in Count, with actions for missing data, actions turned off)",
		Topics: []string{"arn:both", "arn:one (alarm alone)", "arn:two (end alone)"}, Tags: map[string]string{stack.ManagedBy: "another"},
	}, have.Resource); d != "" {
		t.Errorf("(-want +found):\n%s", d)
	}
	s.answers["DescribeAlarms"] = `<CompositeAlarms><member><AlarmName>gapless-a-logins</AlarmName></member></CompositeAlarms>`
	have, err = p.Find(t.Context(), w, nil)
	if err != nil || have.Ours || have.Note != "a composite alarm has this name" || have.Resource == nil {
		t.Errorf("a composite one: %+v, %v", have, err)
	}
}

func TestDashboardIsComparedByWhatItSays(t *testing.T) {
	t.Parallel()
	w := &stack.Dashboard{Name: "gapless-a", Body: `{"start":"-PT24H","widgets":[{"type":"alarm","x":1.0,"properties":{"alarms":["` + stack.ARN("cloudwatch", "eu-central-1", "alarm:a") + `"]}}]}`}
	filled, _ := provision.Fill(w.Body, insightsValues())
	for body, same := range map[string]bool{
		"{ \"widgets\": [{\"x\": 1.0, \"properties\":{\"alarms\":[\"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a\"]},\n\"type\":\"alarm\"}], \"start\":\"-PT24H\"}": true,
		"{ \"widgets\": [{\"x\": 2.0, \"properties\":{\"alarms\":[\"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a\"]},\n\"type\":\"alarm\"}], \"start\":\"-PT24H\"}": false,
		"{ \"widgets\": [{\"x\": 1.0, \"properties\":{\"alarms\":[\"arn:aws:cloudwatch:eu-central-1:210987654321:alarm:a\"]},\n\"type\":\"alarm\"}], \"start\":\"-PT24H\"}": false,
		"": false,
	} {
		var escaped strings.Builder
		if err := xml.EscapeText(&escaped, []byte(body)); err != nil {
			t.Fatal(err)
		}
		s := &standIn{answers: map[string]string{"GetDashboard": "<DashboardBody>" + escaped.String() + "</DashboardBody>"}}
		have, err := s.provider(t).Find(t.Context(), w, insightsValues())
		got, ok := have.Resource.(*stack.Dashboard)
		if err != nil || !ok || (got.Body == filled) != same || !same && got.Body != body {
			t.Errorf("%s: %+v, %v", body, have.Resource, err)
		}
	}
	s := &standIn{}
	if err := s.provider(t).Make(t.Context(), w, provision.Values{stack.Partition: "aws"}); err == nil || !strings.Contains(err.Error(), "no value yet for {{account}}") || len(s.calls) > 0 {
		t.Errorf("without the account: %v, calls %q", err, s.calls)
	}
	s.faults = map[string][]string{"GetDashboard": {"DashboardNotFoundError"}}
	if have, err := s.provider(t).Find(t.Context(), w, nil); err != nil || have.Resource != nil {
		t.Errorf("none: %+v, %v", have, err)
	}
}

// TestInsightsNameThePermission has every call refused once.
func TestInsightsNameThePermission(t *testing.T) {
	t.Parallel()
	query := &stack.Query{Region: "eu-central-1", Name: "gapless/a/Q", Text: "limit 1"}
	filter := &stack.MetricFilter{Region: "eu-central-1", Group: "/a", Name: "gapless-a-x"}
	alarm := &stack.Alarm{Region: "eu-central-1", Name: "gapless-a-logins", PeriodSeconds: 60, Tags: map[string]string{stack.ManagedBy: "gapless"}}
	board := &stack.Dashboard{Name: "gapless-a", Body: `{"widgets":[]}`}
	find := func(p provision.Provider, r stack.Resource) error { _, err := p.Find(t.Context(), r, nil); return err }
	put := func(p provision.Provider, r stack.Resource) error { return p.Make(t.Context(), r, nil) }
	change := func(p provision.Provider, r stack.Resource) error {
		return p.Change(t.Context(), r, provision.Found{Resource: r}, nil)
	}
	remove := func(p provision.Provider, r stack.Resource) error {
		return p.Remove(t.Context(), provision.Found{Resource: r})
	}
	for want, c := range map[string]struct {
		call func(provision.Provider, stack.Resource) error
		r    stack.Resource
	}{
		"logs:DescribeQueryDefinitions": {find, query}, "logs:PutQueryDefinition": {put, query}, "logs:DeleteQueryDefinition": {remove, query},
		"logs:DescribeMetricFilters": {find, filter}, "logs:PutMetricFilter": {put, filter}, "logs:DeleteMetricFilter": {remove, filter},
		"cloudwatch:DescribeAlarms": {find, alarm}, "cloudwatch:ListTagsForResource": {find, alarm}, "cloudwatch:PutMetricAlarm": {put, alarm},
		"cloudwatch:TagResource": {change, alarm}, "cloudwatch:DeleteAlarms": {remove, alarm},
		"cloudwatch:GetDashboard": {find, board}, "cloudwatch:PutDashboard": {put, board}, "cloudwatch:DeleteDashboards": {remove, board},
	} {
		_, op, _ := strings.Cut(want, ":")
		if !strings.Contains(stack.QueriesMarkdown(), "`"+want+"`") {
			t.Errorf("the guide does not name %s", want)
		}
		code := "AccessDenied"
		if strings.HasPrefix(want, "logs:") {
			code = "AccessDeniedException"
		}
		s := &standIn{
			queries: []standInQuery{{ID: "id-1", Name: query.Name}}, answers: map[string]string{"DescribeAlarms": oddAlarm}, faults: map[string][]string{op: {code}},
		}
		err := c.call(s.provider(t), c.r)
		if got, ok := provision.MissingPermission(err); !ok || got.Action != want {
			t.Errorf("%s: %v names %q", want, err, got.Action)
		}
		if n := len(slices.DeleteFunc(slices.Clone(s.calls), func(call string) bool { return call != op })); n != 1 {
			t.Errorf("%s was called %d times: a refusal is no reason to try again", op, n)
		}
	}
}

// TestThrottlingIsWaitedOut shows that calls are made again for a while, and not for
// ever.
func TestThrottlingIsWaitedOut(t *testing.T) {
	t.Parallel()
	f := &stack.MetricFilter{Region: "eu-central-1", Group: "/a", Name: "gapless-a-x", Pattern: "{ $.a = 1 }", Namespace: "n", Metric: "m"}
	for throttled, wantErr := range map[int]bool{7: false, 8: true} {
		synctest.Test(t, func(t *testing.T) {
			s := &standIn{faults: map[string][]string{"PutMetricFilter": slices.Repeat([]string{"ThrottlingException"}, throttled)}}
			err := s.provider(t).Make(t.Context(), f, nil)
			if (err != nil) != wantErr || len(s.calls) != 8 || (len(s.filters) == 1) == wantErr {
				t.Errorf("throttled %d times: %d calls, %v", throttled, len(s.calls), err)
			}
		})
	}
}

// webPage answers as emulators do to calls that they do not know.
type webPage struct{ n int }

func (p *webPage) Do(*http.Request) (*http.Response, error) {
	p.n++
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	return w.Result(), nil
}

func TestWebPagesAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	page := &webPage{}
	if _, err := insightsOver(t, page).Find(t.Context(), &stack.Query{Region: "eu-central-1", Name: "gapless/a/Q"}, nil); err == nil || page.n != 1 {
		t.Errorf("%d calls, %v", page.n, err)
	}
}

// TestEndlessPagesEnd has lists that always name a further page.
func TestEndlessPagesEnd(t *testing.T) {
	t.Parallel()
	s := &endless{}
	p := insightsOver(t, s)
	for _, r := range []stack.Resource{
		&stack.Query{Region: "eu-central-1", Name: "gapless/a/Q"}, &stack.MetricFilter{Region: "eu-central-1", Group: "/a", Name: "gapless-a-x"},
	} {
		s.n = 0
		if _, err := p.Find(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "more than 1000 pages") || s.n > 1001 {
			t.Errorf("%s: %v after %d calls", r.ID(), err, s.n)
		}
	}
	if _, err := p.Find(t.Context(), &stack.User{Name: "x"}, nil); err == nil {
		t.Error("a user was looked for")
	}
}

type endless struct{ n int }

func (e *endless) Do(*http.Request) (*http.Response, error) {
	e.n++
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fmt.Fprintf(w, `{"nextToken":"t%d"}`, e.n)
	return w.Result(), nil
}
