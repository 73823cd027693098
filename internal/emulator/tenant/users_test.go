package tenant_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

const newUser = `{"connection":"Username-Password-Authentication","email":"first@example.com","password":"correct <horse>","user_metadata":{"n":1.50}}`

func TestCreateUser(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	c := login(t, s)
	before := s.Len()
	a := c.post("/api/v2/users", newUser)
	if a.status != http.StatusCreated {
		t.Fatalf("answer %s", a.text())
	}
	u := gjson.ParseBytes(a.body)
	id := u.Get("user_id").Str
	if !strings.HasPrefix(id, "auth0|") || "auth0|"+u.Get("identities.0.user_id").Str != id || u.Get("nickname").Str != "first" ||
		u.Get("name").Str != "first@example.com" || u.Get("user_metadata.n").Raw != "1.50" || u.Get("email_verified").Bool() {
		t.Errorf("user %s", a.body)
	}
	if got := c.get("/api/v2/users/" + strings.ReplaceAll(id, "|", "%7C")); string(got.body) != string(a.body) {
		t.Errorf("read back: %s", got.text())
	}
	if s.Len() != before+1 || s.Stats().Users != 1 {
		t.Fatalf("%d events, %d users", s.Len()-before, s.Stats().Users)
	}
	checkUserEvent(t, s.Events()[before], a.body)
	if got := c.ids(c.get("/api/v2/logs?q=type:sapi")); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}

// checkUserEvent looks at the event of a new user.
func checkUserEvent(t *testing.T, raw, answer []byte) {
	t.Helper()
	v := gjson.ParseBytes(raw)
	got := map[string]string{}
	for _, path := range []string{
		"type", "description", "details.request.method", "details.request.path", "details.request.body.password",
		"details.request.body.email", "details.request.body.user_metadata.n", "details.response.statusCode", "tenant_name",
	} {
		got[path] = v.Get(path).Raw
	}
	want := map[string]string{
		"type": `"sapi"`, "description": `"Create a User"`, "details.request.method": `"post"`, "details.request.path": `"/api/v2/users"`,
		"details.request.body.password": `"*****"`, "details.request.body.email": `"first@example.com"`,
		"details.request.body.user_metadata.n": "1.50", "details.response.statusCode": "201", "tenant_name": `"dev-tenant"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(answer), v.Get("details.response.body").Raw); diff != "" {
		t.Errorf("response body (-want +got):\n%s", diff)
	}
	if strings.Contains(string(raw), "horse") {
		t.Error("the event holds the password")
	}
	stored, _ := event.TimeInID(v.Get("log_id").Str)
	if date := v.Get("date").Time(); stored.Sub(date) < 10*time.Millisecond || time.Since(date) > time.Minute {
		t.Errorf("date %s, stored %s", date, stored)
	}
}

func TestCreateUserRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	c := login(t, s)
	if a := c.post("/api/v2/users", newUser); a.status != http.StatusCreated {
		t.Fatal(a.text())
	}
	before := s.Len()
	bad := func(text string) string {
		return `Bad Request {"statusCode":400,"error":"Bad Request","message":"Payload validation error: ` + text + `","errorCode":"invalid_body"}`
	}
	const noConnection = `Bad Request {"statusCode":400,"error":"Bad Request","message":"The connection does not exist.","errorCode":"inexistent_connection"}`
	const again = `Conflict {"statusCode":409,"error":"Conflict","message":"The user already exists.","errorCode":"auth0_idp_error"}`
	tests := map[string]struct{ body, want string }{
		"again":              {newUser, again},
		"again, other case":  {strings.Replace(newUser, "first@", "FIRST@", 1), again},
		"no JSON":            {`{`, bad("'Expected a JSON object with the properties of a user'.")},
		"no connection":      {`{"email":"a@example.com"}`, bad("'Missing required property: connection'.")},
		"unknown connection": {`{"connection":"x","email":"a@example.com"}`, noConnection},
		"social connection":  {`{"connection":"google-oauth2","email":"a@example.com"}`, noConnection},
		"no address":         {`{"connection":"email"}`, bad("'Missing required property: email'.")},
		"broken address":     {`{"connection":"email","email":"nobody"}`, bad("'Object didn't pass validation for format email: nobody' on property email (The user's email).")},
		"no password":        {`{"connection":"Username-Password-Authentication","email":"a@example.com"}`, bad("'Missing required property: password'.")},
		"weak password": {
			`{"connection":"Username-Password-Authentication","email":"a@example.com","password":"short"}`,
			`Bad Request {"statusCode":400,"error":"Bad Request","message":"PasswordStrengthError: Password is too weak","errorCode":"invalid_password"}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, c.post("/api/v2/users", tc.body).text()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	if s.Len() != before {
		t.Errorf("refused users left %d events", s.Len()-before)
	}
	const unknown = `Not Found {"statusCode":404,"error":"Not Found","message":"The user does not exist.","errorCode":"inexistent_user"}`
	if diff := cmp.Diff(unknown, c.get("/api/v2/users/auth0%7Cnobody").text()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestPasswordlessUser(t *testing.T) {
	t.Parallel()
	c := login(t, start(t, tenant.Options{}))
	a := c.post("/api/v2/users", `{"connection":"email","email":"link@example.com","name":"A Name"}`)
	if id := gjson.GetBytes(a.body, "user_id").Str; a.status != http.StatusCreated || !strings.HasPrefix(id, "email|") {
		t.Errorf("answer %s", a.text())
	}
}
