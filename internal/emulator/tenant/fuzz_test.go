package tenant_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// ask sends one request as it stands and returns the status.
func ask(s http.Handler, method, target, contentType, authorization, body string) int {
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

// FuzzToken holds that no request for a token is answered with a fault of the
// server, and none with a token but the one that has the credentials.
func FuzzToken(f *testing.F) {
	s := start(f, tenant.Options{ClientSecret: "the-secret-of-the-application"})
	f.Add("application/x-www-form-urlencoded", "", "grant_type=client_credentials&client_id=a&client_secret=b&audience=c")
	f.Add("application/json", "Basic YTpi", `{"grant_type":"client_credentials","client_id":7}`)
	f.Add("APPLICATION/JSON ;", "Bearer x", `{"client_assertion_type":"urn:ietf:params:oauth:client-assertion-type:jwt-bearer","client_assertion":"eyJhbGciOiJub25lIn0.e30."}`)
	f.Add("", "Basic %", "%zz&=;")
	f.Fuzz(func(t *testing.T, contentType, authorization, body string) {
		code := ask(s, http.MethodPost, "/oauth/token", contentType, authorization, body)
		if code < 400 || code >= 500 {
			t.Errorf("status %d", code)
		}
	})
}

// FuzzRequest holds that no request with a token is answered with a fault of the
// server.
func FuzzRequest(f *testing.F) {
	nobody := &http.Client{Transport: emulator.Transport(http.NotFoundHandler())} // a log stream must not leave the machine
	s := start(f, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: nobody}})
	history(f, s, 30)
	c := login(f, s)
	f.Add("GET", "/api/v2/logs?from=1&take=100", "")
	f.Add("GET", "/api/v2/logs?page=9&per_page=101&sort=date:-1&fields=date,type&include_fields=false&include_totals=true", "")
	f.Add("GET", "/api/v2/logs/../logs", "")
	f.Add("POST", "/api/v2/users", `{"connection":"Username-Password-Authentication","email":"ann@example.com","password":"x"}`)
	f.Add("POST", "/api/v2/log-streams", `{"type":"http","sink":{"httpEndpoint":"https://example.com"},"startFrom":"2026-11-01T00:00:00Z"}`)
	f.Add("PATCH", "/api/v2/log-streams/lst_0000000000000001", `{"status":"paused","filters":[{}],"pii_config":{}}`)
	f.Add("DELETE", "/api/v2/log-streams/lst_0000000000000001", "")
	f.Add("PUT", "/_emulator/push-faults", `{"holes":1,"slow_for":"1s"}`)
	f.Add("POST", "/_emulator/events", `{"count":-1,"rate":1e99}`)
	f.Add("POST", "/_emulator/events", `[{"log_id":"a"},7]`)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if _, err := http.NewRequest(method, "/", http.NoBody); err != nil || method == http.MethodConnect {
			return // no server would hand it over
		}
		if strings.Contains(strings.ToLower(body), "generate") || strings.Contains(body, `\u`) {
			return // the administrator may ask for more events than there is memory for
		}
		if code := ask(s, method, target, "application/json", "Bearer "+c.token, body); code >= 500 && code != http.StatusNotImplemented {
			t.Errorf("status %d", code)
		}
	})
}
