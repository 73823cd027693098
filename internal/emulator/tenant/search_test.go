package tenant_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// library is a tenant with a few known events, named by their log_ids.
func library(t *testing.T) *client {
	t.Helper()
	s := start(t, tenant.Options{})
	c := login(t, s)
	for _, raw := range []string{
		`{"log_id":"e1","date":"2026-11-01T10:00:00.000Z","type":"s","description":"Successful login","user_id":"auth0|one","user_name":"one@example.com","connection":"Username-Password-Authentication","ip":"192.0.2.1","client_id":"web","strategy":"auth0"}`,
		`{"log_id":"e2","date":"2026-11-01T11:30:00.500Z","type":"f","description":"Wrong password","user_id":"auth0|two","user_name":"two@example.com","connection":"google-oauth2","ip":"192.0.2.22","client_id":"web"}`,
		`{"log_id":"e3","date":"2026-11-02T00:00:00.000Z","type":"fp","description":null,"user_id":"auth0|one","user_name":"One Name","connection":"Username-Password-Authentication","ip":"2001:db8::1","client_id":"cli"}`,
		`{"log_id":"e4","date":"2026-11-03T23:59:59.999Z","type":"sapi","description":"Create a User","client_id":"cli","user_agent":"Other 0.0.0 / Other 0.0.0","details":{"request":{"type":"f"}}}`,
	} {
		if err := s.Append([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestQueries(t *testing.T) {
	t.Parallel()
	c := library(t)
	tests := []struct {
		q    string
		want string // without the token's own event
	}{
		{`type:s`, "e1"},
		{`type:f`, "e2"},
		{`type:f*`, "e2 e3"},
		{`type:f?`, "e3"},
		{`type:*`, "e1 e2 e3 e4"},
		{`type:S`, ""},
		{`type:"s"`, "e1"},
		{`type:"f*"`, ""},
		{`type:(f OR fp)`, "e2 e3"},
		{`type:f OR type:fp`, "e2 e3"},
		{`type:f type:fp`, "e2 e3"},
		{`type:f || type:sapi`, "e2 e4"},
		{`type:f* AND client_id:web`, "e2"},
		{`type:f* && client_id:web`, "e2"},
		{`client_id:web AND NOT type:s`, "e2"},
		{`client_id:(web OR cli) AND -type:f*`, "e1 e4"},
		{`client_id:cli AND !(type:fp)`, "e4"},
		{`type:s OR type:f AND client_id:cli`, "e1"},
		{`(type:s OR type:f) AND client_id:web`, "e1 e2"},
		{`+type:s`, "e1"},
		{`NOT NOT type:s`, "e1"},
		{`user_id:"auth0|one"`, "e1 e3"},
		{`user_id:auth0|one`, "e1 e3"},
		{`user_name:"One Name"`, "e3"},
		{`user_name:*@example.com`, "e1 e2"},
		{`user_name:one\@example.com`, "e1"},
		{`connection:"google-oauth2"`, "e2"},
		{`connection:Username-Password-Authentication`, "e1 e3"},
		{`ip:192.0.2.1`, "e1"},
		{`ip:192.0.2.*`, "e1 e2"},
		{`ip:2001:db8::1`, "e3"},
		{`ip:"2001:db8::1"`, "e3"},
		{`ip:fe80::1`, ""},
		{`description:login`, "e1"},
		{`description:LOGIN`, "e1"},
		{`description:"successful login"`, "e1"},
		{`description:"login successful"`, ""},
		{`description:pass*`, "e2"},
		{`user_agent:other`, "e4"},
		{`password`, "e2"},
		{`google-oauth2`, "e2"},
		{`_exists_:strategy`, "e1"},
		{`_exists_:description AND NOT type:seccft`, "e1 e2 e4"},
		{`log_id:e3`, "e3"},
		{`log_id:[e2 TO e3]`, "e2 e3"},
		{`log_id:{e2 TO e4}`, "e3"},
		{`log_id:[e2 TO *]`, "e2 e3 e4"},
		{`log_id:[* TO e2]`, "e1 e2"},
		{`date:[2026-11-01 TO 2026-11-01]`, "e1 e2"},
		{`date:[2026-11-01 TO 2026-11-02}`, "e1 e2"},
		{`date:{2026-11-01 TO 2026-11-02]`, "e3"},
		{`date:[2026-11-02 TO 2026-11-03]`, "e3 e4"},
		{`date:[2026-11-01T11:30:00.500Z TO 2026-11-02T00:00:00.000Z]`, "e2 e3"},
		{`date:{2026-11-01T11:30:00.500Z TO 2026-11-02T00:00:00.000Z}`, ""},
		{`date:[2026-11-01T11:30 TO 2026-11-01T11:30]`, "e2"},
		{`date:["2026-11-01T11:30:00Z" TO "2026-11-01T11:30:00Z"]`, "e2"},
		{`date:[* TO 2026-11-01T10] AND type:s`, "e1"},
		{`type:none`, ""},
	}
	for _, tc := range tests {
		t.Run(tc.q, func(t *testing.T) {
			t.Parallel()
			ids := c.ids(c.get("/api/v2/logs?search_engine=v3&sort=date:1&q=" + url.QueryEscape(tc.q)))
			ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "e") })
			if diff := cmp.Diff(tc.want, strings.Join(ids, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQueriesThatAreNone(t *testing.T) {
	t.Parallel()
	c := library(t)
	tests := map[string]string{
		`colour:red`:                   `unknown field \"colour\"`,
		`Type:s`:                       `unknown field \"Type\"`,
		`details.x:1`:                  `unknown field \"details.x\"`,
		`colour2:red`:                  `unknown field \"colour2\"`,
		`_exists_:colour`:              `unknown field \"colour\"`,
		`type:"s`:                      `a quotation mark is missing`,
		`(type:s`:                      `a parenthesis is not closed`,
		`type:s)`:                      `unexpected \")\"`,
		`type:`:                        `it ends too early`,
		`type:s AND`:                   `it ends too early`,
		`AND type:s`:                   `unexpected \"AND\"`,
		`type:type:s`:                  `unexpected \"type\"`,
		`date:[2026-11-01 TO`:          `a range is not closed`,
		`date:[2026-11-01 2026-11-02]`: `a range is written [a TO b]`,
		`date:[yesterday TO *]`:        `\"yesterday\" is no date`,
		`date:[* TO tomorrow]`:         `\"tomorrow\" is no date`,
		`[a TO b]`:                     `a range needs a field`,
		`+`:                            `it ends too early`,
	}
	for q, why := range tests {
		t.Run(q, func(t *testing.T) {
			t.Parallel()
			want := `Bad Request {"statusCode":400,"error":"Bad Request","message":"Query is not valid: ` + why + `","errorCode":"invalid_query_string"}`
			if diff := cmp.Diff(want, c.get("/api/v2/logs?q="+url.QueryEscape(q)).text()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSearchOptions(t *testing.T) {
	t.Parallel()
	c := library(t)
	const q = "q=type:(s+OR+f+OR+fp+OR+sapi)&"
	tests := map[string]struct{ query, want string }{
		"newest first":     {"fields=log_id", `[{"log_id":"e4"},{"log_id":"e3"},{"log_id":"e2"},{"log_id":"e1"}]`},
		"oldest first":     {"fields=log_id&sort=date:1&per_page=2", `[{"log_id":"e1"},{"log_id":"e2"}]`},
		"second page":      {"fields=log_id&sort=date:-1&per_page=3&page=1", `[{"log_id":"e1"}]`},
		"behind the end":   {"per_page=3&page=2", `[]`},
		"nothing a page":   {"per_page=0", `[]`},
		"by another field": {"fields=log_id&sort=type:1", `[{"log_id":"e2"},{"log_id":"e3"},{"log_id":"e1"},{"log_id":"e4"}]`},
		"by id":            {"fields=log_id&sort=log_id:-1&per_page=1", `[{"log_id":"e4"}]`},
		"some fields":      {"fields=type,log_id,details&per_page=1", `[{"log_id":"e4","type":"sapi","details":{"request":{"type":"f"}}}]`},
		"included":         {"fields=type&include_fields=true&per_page=1", `[{"type":"sapi"}]`},
		"excluded":         {"fields=log_id,date,description,details,user_agent&include_fields=false&per_page=1", `[{"type":"sapi","client_id":"cli"}]`},
		"totals":           {"fields=log_id&include_totals=true&per_page=2&page=1", `{"start":2,"limit":2,"length":2,"total":2,"logs":[{"log_id":"e2"},{"log_id":"e1"}]}`},
		"no totals":        {"fields=log_id&include_totals=false&per_page=1", `[{"log_id":"e4"}]`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff("OK "+tc.want, c.get("/api/v2/logs?"+q+tc.query).text()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	c := login(t, start(t, tenant.Options{}))
	wall := func(page int) string {
		return fmt.Sprintf("Requesting page %d exceeds the allowed maximum of 1000 records: please consider searching by checkpoint "+
			"https://auth0.com/docs/logs/retrieve-log-events-using-mgmt-api#retrieve-logs-by-checkpoint", page)
	}
	tests := map[string]struct{ query, message string }{
		"page 11 of 100": {"page=10&per_page=100", wall(11)},
		"page 21 of 50":  {"page=20", wall(21)},
		"page 1001":      {"page=1000&per_page=1", wall(1001)},
		"negative page":  {"page=-1", "Query validation error: 'Value -1 is less than minimum 0' on property page (Page index of the results to return. First page is 0.)."},
		"page is text":   {"page=x", "Query validation error: 'Expected type integer but found type string' on property page (Page index of the results to return. First page is 0.)."},
		"per_page":       {"per_page=101", "Query validation error: 'Value 101 is greater than maximum 100' on property per_page (Number of results per page.)."},
		"sort":           {"sort=date", "Query validation error: 'String does not match pattern: date' on property sort (field:1 or field:-1)."},
		"sort direction": {"sort=date:2", "Query validation error: 'String does not match pattern: date:2' on property sort (field:1 or field:-1)."},
		"sort field":     {"sort=colour:1", "Query validation error: 'String does not match pattern: colour:1' on property sort (field:1 or field:-1)."},
		"include_totals": {"include_totals=1", "Query validation error: 'Expected type boolean but found type string' on property include_totals (Return results inside an object that contains the total result count)."},
		"include_fields": {"include_fields=maybe", "Query validation error: 'Expected type boolean but found type string' on property include_fields (Whether specified fields are to be included or excluded)."},
		"undecodable":    {"q=%zz", "Query validation error: the query string cannot be decoded"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got struct {
				StatusCode     int
				Error, Message string
			}
			a := c.get("/api/v2/logs?" + tc.query)
			body := a
			body.status = http.StatusOK
			c.decode(body, &got)
			if diff := cmp.Diff(tc.message, got.Message); diff != "" || a.status != http.StatusBadRequest || got.StatusCode != http.StatusBadRequest || got.Error != "Bad Request" {
				t.Errorf("answer %s (-want +got):\n%s", a.text(), diff)
			}
		})
	}
}

func TestTheWallStandsBehindAThousand(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	history(t, s, 1100)
	c := login(t, s)
	seen := make(map[string]bool)
	for page := range 10 {
		for _, id := range c.ids(c.get(fmt.Sprintf("/api/v2/logs?per_page=100&sort=date:-1&page=%d", page))) {
			seen[id] = true
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d different events on ten pages", len(seen))
	}
}

func TestQueryThatIsTooLong(t *testing.T) {
	t.Parallel()
	c := login(t, start(t, tenant.Options{}))
	a := c.get("/api/v2/logs?q=" + strings.Repeat("x", 9000))
	if a.status != http.StatusRequestURITooLong {
		t.Errorf("answer %s", a.text())
	}
}

// Each way to start without a checkpoint leads on to pages by checkpoint.
func TestSearchLeadsToCheckpoint(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Seed: 8})
	history(t, s, 250)
	c := login(t, s)
	since := time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339)
	for name, query := range map[string]string{
		"oldest":       "sort=date:1&per_page=1",
		"since a date": "per_page=1&sort=date:1&q=" + url.QueryEscape("date:["+since+" TO *]"),
	} {
		first := c.ids(c.get("/api/v2/logs?" + query))
		if len(first) != 1 {
			t.Fatalf("%s: %v", name, first)
		}
		if got, want := len(c.walk(from(first[0]))), s.Len(); got < want-5 || got >= want {
			t.Errorf("%s: %d of %d events behind it", name, got, want)
		}
	}
}

// The requests of auth0-cli, as they were seen on the wire.
func TestCommandLineOfAuth0(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{ClientID: "cid", ClientSecret: "secret", Domain: "127.0.0.1:4010"})
	history(t, s, 400)
	c := newClient(t, s)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/oauth/token",
		strings.NewReader("grant_type=client_credentials&client_id=cid&audience="+url.QueryEscape("https://127.0.0.1:4010/api/v2/")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("cid", "secret")
	var token struct {
		AccessToken string `json:"access_token"`
	}
	c.decode(c.do(req), &token)
	c.token = token.AccessToken

	if got := c.ids(c.get("/api/v2/logs?page=0&per_page=3&sort=date:-1")); len(got) != 3 {
		t.Errorf("logs list -n 3: %v", got)
	}
	for page := range 2 {
		a := c.get(fmt.Sprintf("/api/v2/logs?page=%d&per_page=100&q=type:s&search_engine=v3&sort=date:-1", page))
		for _, id := range c.ids(a) {
			if got := c.get("/api/v2/logs/" + id); !strings.Contains(string(got.body), `"type":"s"`) {
				t.Errorf("logs list --filter type:s: %s", got.body)
			}
		}
	}
	ids := idsOf(t, s)
	tail := c.ids(c.get("/api/v2/logs?page=0&per_page=100&q=" + url.QueryEscape("log_id:["+ids[len(ids)-3]+" TO *]") + "&search_engine=v3&sort=date:-1"))
	slices.Sort(tail)
	if diff := cmp.Diff(ids[len(ids)-3:], tail); diff != "" {
		t.Errorf("logs tail (-want +got):\n%s", diff)
	}
	if got := c.get("/api/v2/log-streams?per_page=100").text(); got != "OK []" {
		t.Errorf("logs streams list: %s", got)
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{`type:s`, `date:[2026-11-01 TO *}`, `(a OR -b*) AND "c d"`, `ip:2001\:db8\:\:1`, `_exists_:ip`, `:::`, `!`} {
		f.Add(q)
	}
	s := start(f, tenant.Options{})
	history(f, s, 30)
	c := login(f, s)
	f.Fuzz(func(t *testing.T, q string) {
		own := &client{t: t, http: c.http, token: c.token}
		a := own.get("/api/v2/logs?per_page=1&q=" + url.QueryEscape(q))
		if a.status != http.StatusOK && a.status != http.StatusBadRequest && a.status != http.StatusRequestURITooLong {
			t.Errorf("answer %s", a.text())
		}
	})
}
