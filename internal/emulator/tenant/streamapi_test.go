package tenant_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

func TestLogStreamsOverTheAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client(), Max: 2}})
		c := login(t, s)
		const (
			hook = `{"id":"lst_0000000000000001","name":"hook","type":"http","status":"active","sink":{"httpAuthorization":"secret",` +
				`"httpContentFormat":"JSONARRAY","httpContentType":"application/json","httpCustomHeaders":[{"header":"X-A","value":"b"}],` +
				`"httpEndpoint":"https://gapless.example.com/hook"},"isPriority":false,"filters":[{"type":"category","name":"user.fail"}],` +
				`"pii_config":{"log_fields":["email"],"method":"mask","algorithm":"xxhash"}}`
			create = `{"name":"hook","type":"http","sink":{"httpEndpoint":"https://gapless.example.com/hook","httpContentFormat":"JSONARRAY",` +
				`"httpAuthorization":"secret","httpCustomHeaders":[{"header":"X-A","value":"b"}]},` +
				`"filters":[{"type":"category","name":"user.fail"}],"pii_config":{"log_fields":["email"]}}`
			paused   = `{"id":"lst_0000000000000001","name":"other","type":"http","status":"paused","sink":{"httpContentFormat":"JSONLINES","httpContentType":"text/plain","httpEndpoint":"https://new.example.com"},"isPriority":false}`
			bus      = `{"id":"lst_0000000000000002","name":"","type":"eventbridge","status":"active","sink":{"awsAccountId":"123456789012","awsPartnerEventSource":"SOURCE","awsRegion":"us-gov-west-1"},"isPriority":false}`
			priority = `{"id":"lst_0000000000000003","name":"p","type":"http","status":"active","sink":{"httpContentFormat":"JSONLINES","httpContentType":"application/json","httpEndpoint":"https://gapless.example.com/hook"},"isPriority":true,"filters":[{"type":"category","name":"security"}]}`
			noStream = `Not Found {"statusCode":404,"error":"Not Found","message":"The log stream does not exist."}`
		)
		source := ""
		for _, step := range []struct{ method, path, body, want string }{
			{"GET", "", "", "OK []"},
			{"POST", "", create, "OK " + hook},
			{"GET", "/lst_0000000000000001", "", "OK " + hook},
			{"POST", "", `{"type":"eventbridge","sink":{"awsAccountId":"123456789012","awsRegion":"us-gov-west-1"}}`, "OK " + bus},
			{"POST", "", toHook, `Conflict {"statusCode":409,"error":"Conflict","message":"You have reached the maximum number of log streams for your account"}`},
			{"POST", "", `{"name":"p","isPriority":true,` + toHook[len(`{"name":"hook",`):], "OK " + priority},
			{"PATCH", "/lst_0000000000000001", `{"name":"other","status":"paused","filters":[],"sink":{"httpEndpoint":"https://new.example.com","httpContentType":"text/plain"}}`, "OK " + strings.TrimSuffix(paused, "}") + `,"pii_config":{"log_fields":["email"],"method":"mask","algorithm":"xxhash"}}`},
			{"PATCH", "/lst_0000000000000001", `{"pii_config":null}`, "OK " + paused},
			{"PATCH", "/lst_0000000000000002", `{"sink":{"awsRegion":"us-east-1"}}`, `Bad Request {"statusCode":400,"error":"Bad Request","message":"Payload validation error: 'Additional properties not allowed: sink'.","errorCode":"invalid_body"}`},
			{"DELETE", "/lst_0000000000000001", "", "No Content "},
			{"DELETE", "/lst_0000000000000001", "", noStream},
			{"PATCH", "/lst_0000000000000001", `{}`, noStream},
			{"GET", "/lst_0000000000000001", "", noStream},
			{"GET", "?per_page=100", "", "OK [" + bus + "," + priority + "]"},
		} {
			got := c.request(step.method, "/api/v2/log-streams"+step.path, "application/json", step.body)
			source = cmp.Or(source, gjson.GetBytes(got.body, "sink.awsPartnerEventSource").String())
			want := strings.ReplaceAll(step.want, "SOURCE", cmp.Or(source, "SOURCE"))
			if diff := gocmp.Diff(want, got.text()); diff != "" {
				t.Errorf("%s %s %s (-want +got):\n%s", step.method, step.path, step.body, diff)
			}
		}
		if !strings.HasPrefix(source, "aws.partner/auth0.com/dev-tenant-") || !strings.HasSuffix(source, "/auth0.logs") {
			t.Errorf("partner event source %q", source)
		}
	})
}

func TestLogStreamsNeedTheirScopes(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Scopes: []string{"read:logs"}})
	c := login(t, s)
	for method, scope := range map[string]string{"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"} {
		path := "/api/v2/log-streams"
		if method != "POST" {
			path += "/lst_0000000000000001"
		}
		a := c.request(method, path, "application/json", toHook)
		if a.status != http.StatusForbidden || !strings.Contains(a.text(), scope+":log_streams") {
			t.Errorf("%s: %s", method, a.text())
		}
	}
}

func TestLogStreamBodiesAreValidated(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	c := login(t, s)
	sink := func(members string) string { return `{"type":"http","sink":{` + members + `}}` }
	with := func(members string) string { return strings.TrimSuffix(toHook, "}") + "," + members + "}" }
	for body, want := range map[string]string{
		`[`:                       "'Expected a JSON object with the properties that are documented'.",
		`{} {}`:                   "'Expected a JSON object with the properties that are documented'.",
		`[]`:                      "'Expected type object but found type array'.",
		`{"sink":{}}`:             "'Missing required property: type'.",
		`{"type":"http"}`:         "'Missing required property: sink'.",
		`{"type":"datadog"}`:      "'No enum match for: datadog' on property type.",
		`{"type":7}`:              "'Expected type string but found type number' on property type.",
		`{"type":"http","sin":1}`: "'Additional properties not allowed: sin'.",
		sink(``):                  "'Missing required property: sink.httpEndpoint'.",
		sink(`"httpEndpoint":1`):  "'Expected type string but found type number' on property sink.httpEndpoint.",
		sink(`"httpEndpoint":"http://127.0.0.1/"`):                                         "'String does not match pattern ^https://.*: http://127.0.0.1/' on property sink.httpEndpoint.",
		sink(`"httpEndpoint":"https://"`):                                                  "'String does not match pattern ^https://.*: https://' on property sink.httpEndpoint.",
		sink(`"httpEndpoint":"https://a","awsRegion":"us-east-1"`):                         "'Additional properties not allowed: awsRegion'.",
		sink(`"httpEndpoint":"https://a","httpContentFormat":"XML"`):                       "'No enum match for: XML' on property sink.httpContentFormat.",
		sink(`"httpEndpoint":"https://a","httpCustomHeaders":[{"header":"a b"}]`):          "'String does not match pattern ^[!#$%&'*+.^_`|~0-9A-Za-z-]+$: a b' on property sink.httpCustomHeaders[0].header.",
		`{"type":"eventbridge","sink":{"awsRegion":"us-east-1"}}`:                          "'Missing required property: sink.awsAccountId'.",
		`{"type":"eventbridge","sink":{"awsAccountId":"123456789012"}}`:                    "'Missing required property: sink.awsRegion'.",
		`{"type":"eventbridge","sink":{"awsAccountId":"1","awsRegion":"us-east-1"}}`:       `'String does not match pattern ^\d{12}$: 1' on property sink.awsAccountId.`,
		`{"type":"eventbridge","sink":{"awsAccountId":"123456789012","awsRegion":"moon"}}`: "'No enum match for: moon' on property sink.awsRegion.",
		with(`"startFrom":"soon"`):                                                         "'Object didn't pass validation for format date-time: soon' on property startFrom (The optional datetime (ISO 8601) to start streaming logs from).",
		with(`"isPriority":"yes"`):                                                         "'Expected type boolean but found type string' on property isPriority.",
		with(`"filters":{}`):                                                               "'Expected type array but found type object' on property filters.",
		with(`"filters":[{"type":"code","name":"s"}]`):                                     "'No enum match for: code' on property filters[0].type.",
		with(`"filters":[{"type":"category","name":"security"}]`):                          "'No enum match for: security' on property filters[0].name.",
		with(`"pii_config":{}`):                                                            "'Missing required property: pii_config.log_fields'.",
		with(`"pii_config":{"log_fields":["ip"]}`):                                         "'No enum match for: ip' on property pii_config.log_fields[0].",
		with(`"pii_config":{"log_fields":[],"method":"hide"}`):                             "'No enum match for: hide' on property pii_config.method.",
		with(`"pii_config":{"log_fields":[],"algorithm":"md5"}`):                           "'No enum match for: md5' on property pii_config.algorithm.",
	} {
		a := c.post("/api/v2/log-streams", body)
		message := gjson.GetBytes(a.body, "message").String()
		if a.status != http.StatusBadRequest || message != "Payload validation error: "+want {
			t.Errorf("%s: %d %s, want %s", body, a.status, message, want)
		}
	}
	id := stream(t, s, `{"type":"http","sink":{"httpEndpoint":"https://a.invalid"}}`)
	for body, want := range map[string]string{
		`{"status":"suspended"}`:                      "'No enum match for: suspended' on property status.",
		`{"startFrom":"2026-11-01T00:00:00Z"}`:        "'Additional properties not allowed: startFrom'.",
		`{"sink":{}}`:                                 "'Missing required property: sink.httpEndpoint'.",
		`{"filters":[{"type":"category"}]}`:           "'No enum match for: ' on property filters[0].name.",
		`{"pii_config":{"log_fields":["pet"]}}`:       "'No enum match for: pet' on property pii_config.log_fields[0].",
		`{"sink":{"httpEndpoint":"ftp://a.invalid"}}`: "'String does not match pattern ^https://.*: ftp://a.invalid' on property sink.httpEndpoint.",
	} {
		a := c.request(http.MethodPatch, "/api/v2/log-streams/"+id, "application/json", body)
		if message := gjson.GetBytes(a.body, "message").String(); message != "Payload validation error: "+want {
			t.Errorf("%s: %d %s, want %s", body, a.status, message, want)
		}
	}
}
