package cloudwatch

import (
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

const (
	// maxQueryString is the longest query, maxQueryRows the most rows of one
	// (StartQuery in the API reference).
	maxQueryString = 10_000
	maxQueryRows   = 100_000
	// keptQueries is how many queries are remembered; AWS keeps results for days.
	keptQueries = 100
	// queryTime is how Logs Insights writes a time.
	queryTime = "2006-01-02 15:04:05.000"
)

// queries are those that were started, the newest last.
type queries struct {
	mu   sync.Mutex
	list []*query
}

// A query is one of Logs Insights.
type query struct {
	id      string
	rows    [][]queryField
	scanned int
	bytes   int
	asked   int // how often its results were asked for
	stopped bool
}

// queryField is a field of a row of results.
type queryField struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

type startQueryInput struct {
	Group    *string `json:"logGroupName"`
	Start    *int64  `json:"startTime"`
	End      *int64  `json:"endTime"`
	Query    *string `json:"queryString"`
	Language *string `json:"queryLanguage"`
	Limit    *int64  `json:"limit"`
}

// resource implements input.
func (in *startQueryInput) resource(a arns) []string {
	return []string{a.stream(deref(in.Group), ""), a.group(deref(in.Group))}
}

type startQueryOutput struct {
	ID string `json:"queryId"`
}

func (in *startQueryInput) validate() error {
	var c checks
	c.group(in.Group)
	if c.required("startTime", in.Start != nil) {
		c.number("startTime", in.Start, 0, -1)
	}
	if c.required("endTime", in.End != nil) {
		c.number("endTime", in.End, 0, -1)
	}
	if c.required("queryString", in.Query != nil) {
		c.text("queryString", in.Query, 0, maxQueryString, nil)
	}
	c.number("limit", in.Limit, 1, maxQueryRows)
	if err := c.err(); err != nil {
		return err
	}
	switch {
	case in.Group == nil:
		return invalidParameter("This emulator queries one log group, by logGroupName.")
	case in.Language != nil && *in.Language != "CWLI":
		return invalidParameter("This emulator understands the query language CWLI alone.")
	case *in.End < *in.Start:
		return newError("MalformedQueryException", "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings")
	}
	return nil
}

// A queryPlan is what a query asks for: a small part of the language.
//
//	fields NAME, … | filter @logStream = "TEXT" | filter strcontains(@logStream, "TEXT") = 1 |
//	sort @timestamp asc|desc | limit N
type queryPlan struct {
	fields     []string
	stream     *string
	contains   string
	descending bool
	limit      int
}

// The commands of a query.
var (
	fieldsCommand   = regexp.MustCompile(`^fields\s+(@[A-Za-z]+(?:\s*,\s*@[A-Za-z]+)*)$`)
	equalsCommand   = regexp.MustCompile(`^filter\s+@logStream\s*=\s*("(?:[^"\\]|\\.)*")$`)
	containsCommand = regexp.MustCompile(`^filter\s+strcontains\(\s*@logStream\s*,\s*("(?:[^"\\]|\\.)*")\s*\)\s*=\s*1$`)
	sortCommand     = regexp.MustCompile(`^sort\s+@timestamp\s+(asc|desc)$`)
	limitCommand    = regexp.MustCompile(`^limit\s+(\d{1,6})$`)
	textOrPipe      = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\|`)
)

// queryFields are the fields that the emulator knows.
var queryFields = []string{"@timestamp", "@ingestionTime", "@logStream", "@message"}

// planQuery reads a query. Without a limit a query returns 10,000 rows, as AWS's do.
func planQuery(text string) (p queryPlan, err error) {
	p = queryPlan{fields: []string{"@timestamp", "@message"}, descending: true, limit: maxEvents}
	for _, command := range cutCommands(text) {
		var m []string
		find := func(form *regexp.Regexp) bool { m = form.FindStringSubmatch(command); return m != nil }
		switch {
		case find(fieldsCommand):
			p.fields = nil
			for name := range strings.SplitSeq(m[1], ",") {
				if name = strings.TrimSpace(name); !slices.Contains(queryFields, name) {
					return p, newError("MalformedQueryException", "This emulator does not know the field %s.", name)
				}
				p.fields = append(p.fields, name)
			}
		case find(equalsCommand):
			text, err := strconv.Unquote(m[1])
			if err != nil {
				return p, newError("MalformedQueryException", "unexpected symbol found in %s", m[1])
			}
			p.stream = &text
		case find(containsCommand):
			if p.contains, err = strconv.Unquote(m[1]); err != nil {
				return p, newError("MalformedQueryException", "unexpected symbol found in %s", m[1])
			}
		case find(sortCommand):
			p.descending = m[1] == "desc"
		case find(limitCommand):
			if p.limit, err = strconv.Atoi(m[1]); err != nil || p.limit > maxQueryRows || p.limit == 0 {
				return p, newError("MalformedQueryException", "invalid value for limit: %s", m[1])
			}
		default:
			return p, newError("MalformedQueryException", "This emulator does not understand the command: %s", command)
		}
	}
	return p, nil
}

// cutCommands splits a query at the pipes that are not in a text.
func cutCommands(text string) (list []string) {
	from := 0
	for _, at := range textOrPipe.FindAllStringIndex(text, -1) {
		if text[at[0]] == '|' {
			list = append(list, strings.TrimSpace(text[from:at[0]]))
			from = at[1]
		}
	}
	return append(list, strings.TrimSpace(text[from:]))
}

// startQuery reads the events at once; the results come later.
func (s *Server) startQuery(c *call, in *startQueryInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	plan, err := planQuery(*in.Query)
	if err != nil {
		return nil, err
	}
	if in.Limit != nil {
		plan.limit = min(plan.limit, int(*in.Limit))
	}
	q := &query{id: requestID()}
	err = s.store.viewGroup(*in.Group, func(g *logGroup) error {
		if g.Class == classDelivery {
			return g.readable("StartQuery")
		}
		q.run(g, plan, s.readable, *in.Start*1000, *in.End*1000+999)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.queries.mu.Lock()
	defer s.queries.mu.Unlock()
	s.queries.list = append(s.queries.list, q)
	if over := len(s.queries.list) - keptQueries; over > 0 {
		s.queries.list = slices.Delete(s.queries.list, 0, over)
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group), slog.Int("rows", len(q.rows)))
	return startQueryOutput{ID: q.id}, nil
}

// run fills in the rows of events with timestamps from one to another, inclusive.
func (q *query) run(g *logGroup, p queryPlan, readable func([]entry) []entry, from, to int64) {
	var streams []*logStream
	for _, name := range sortedNames(g.streams, "") {
		if (p.stream == nil || *p.stream == name) && strings.Contains(name, p.contains) {
			streams = append(streams, g.streams[name])
		}
	}
	m := newMerger(streams, readable, position{max(from, g.expiry(nowMillis())), 0}, position{to + 1, 0}, p.descending)
	for {
		e, stream, ok := m.peek()
		if !ok {
			return
		}
		q.scanned++
		q.bytes += e.size()
		if len(q.rows) < p.limit {
			q.rows = append(q.rows, p.row(e, stream))
		}
		m.advance()
	}
}

// row makes a row of an event. The last field names the event, as AWS's do.
func (p queryPlan) row(e entry, stream string) (row []queryField) {
	values := map[string]string{
		"@timestamp": time.UnixMilli(e.time).UTC().Format(queryTime), "@ingestionTime": time.UnixMilli(e.ingested).UTC().Format(queryTime),
		"@logStream": stream, "@message": e.message,
	}
	for _, name := range p.fields {
		row = append(row, queryField{name, values[name]})
	}
	return append(row, queryField{"@ptr", e.id()})
}

type stopQueryInput struct {
	ID *string `json:"queryId"`
}

// resource implements input: IAM knows no log group here.
func (in *stopQueryInput) resource(a arns) []string { return []string{a.stream("", "")} }

type stopQueryOutput struct {
	Success bool `json:"success"`
}

// stopQuery ends a query, which then has no results. Those of one whose results were
// handed out cannot be stopped any more.
func (s *Server) stopQuery(_ *call, in *stopQueryInput) (any, error) {
	var c checks
	if c.required("queryId", in.ID != nil) {
		c.text("queryId", in.ID, 0, 256, nil)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	s.queries.mu.Lock()
	defer s.queries.mu.Unlock()
	i := slices.IndexFunc(s.queries.list, func(q *query) bool { return q.id == *in.ID })
	if i < 0 {
		return nil, newError("ResourceNotFoundException", "The specified query does not exist.")
	}
	q := s.queries.list[i]
	if q.asked > 1 {
		return nil, invalidParameter("Query with id %s has ended.", q.id)
	}
	q.stopped, q.rows = true, nil
	return stopQueryOutput{Success: true}, nil
}

type queryResultsInput struct {
	ID        *string `json:"queryId"`
	NextToken *string `json:"nextToken"`
}

// resource implements input: IAM knows no log group here.
func (in *queryResultsInput) resource(a arns) []string { return []string{a.stream("", "")} }

type queryResultsOutput struct {
	Language   string          `json:"queryLanguage"`
	Results    [][]queryField  `json:"results"`
	Statistics queryStatistics `json:"statistics"`
	Status     string          `json:"status"`
	NextToken  *string         `json:"nextToken,omitempty"`
}

type queryStatistics struct {
	Matched float64 `json:"recordsMatched"`
	Scanned float64 `json:"recordsScanned"`
	Bytes   float64 `json:"bytesScanned"`
}

// getQueryResults answers that the query runs, the first time, and then with a page of
// its rows.
func (s *Server) getQueryResults(_ *call, in *queryResultsInput) (any, error) {
	var c checks
	if c.required("queryId", in.ID != nil) {
		c.text("queryId", in.ID, 0, 256, nil)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	s.queries.mu.Lock()
	defer s.queries.mu.Unlock()
	i := slices.IndexFunc(s.queries.list, func(q *query) bool { return q.id == *in.ID })
	if i < 0 {
		return nil, newError("ResourceNotFoundException", "The specified query does not exist.")
	}
	q := s.queries.list[i]
	out := queryResultsOutput{Language: "CWLI", Results: [][]queryField{}, Status: "Running"}
	if q.stopped {
		out.Status = "Cancelled"
		return out, nil
	}
	if q.asked++; q.asked == 1 {
		return out, nil
	}
	from := 0
	if in.NextToken != nil {
		var err error
		if from, err = strconv.Atoi(*in.NextToken); err != nil || from < 0 || from > len(q.rows) {
			return nil, errToken
		}
	}
	to := min(from+maxEvents, len(q.rows))
	out.Status, out.Results = "Complete", q.rows[from:to:to]
	out.Statistics = queryStatistics{float64(q.scanned), float64(q.scanned), float64(q.bytes)}
	if to < len(q.rows) {
		next := strconv.Itoa(to)
		out.NextToken = &next
	}
	return out, nil
}
