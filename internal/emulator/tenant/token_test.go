package tenant_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// app is a tenant whose credentials are known.
func app(t *testing.T) *tenant.Server {
	t.Helper()
	return start(t, tenant.Options{ClientID: "app", ClientSecret: "s3cret/+%", Audiences: []string{"https://api.example.com"}})
}

func TestTokenIsIssued(t *testing.T) {
	t.Parallel()
	s := app(t)
	c := newClient(t, s)
	form := func(audience string) string {
		return url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"s3cret/+%"}, "audience": {audience},
		}.Encode()
	}
	tests := map[string]struct {
		contentType, body string
		basic             [2]string
	}{
		"form":                  {contentType: "application/x-www-form-urlencoded", body: form(audience)},
		"own address":           {contentType: "application/x-www-form-urlencoded", body: form(base + "/api/v2/")},
		"configured audience":   {contentType: "application/x-www-form-urlencoded", body: form("https://api.example.com")},
		"JSON":                  {contentType: "application/json", body: `{"grant_type":"client_credentials","client_id":"app","client_secret":"s3cret/+%","audience":"` + audience + `"}`},
		"JSON with charset":     {contentType: "application/json; charset=utf-8", body: `{"grant_type":"client_credentials","client_id":"app","client_secret":"s3cret/+%","audience":"` + audience + `"}`},
		"Basic":                 {contentType: "application/x-www-form-urlencoded", body: "grant_type=client_credentials&client_id=app&audience=" + url.QueryEscape(audience), basic: [2]string{"app", url.QueryEscape("s3cret/+%")}},
		"Basic without escapes": {contentType: "application/x-www-form-urlencoded", body: "grant_type=client_credentials&audience=" + url.QueryEscape(audience), basic: [2]string{"app", "s3cret/+%"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/oauth/token", strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tc.contentType)
			if tc.basic[0] != "" {
				req.SetBasicAuth(tc.basic[0], tc.basic[1])
			}
			a := newClient(t, s).do(req)
			var got struct {
				AccessToken string `json:"access_token"`
				Scope       string `json:"scope"`
				ExpiresIn   int    `json:"expires_in"`
				TokenType   string `json:"token_type"`
			}
			c.decode(a, &got)
			if got.ExpiresIn != 86400 || got.TokenType != "Bearer" || got.Scope != strings.Join(tenant.DefaultScopes(), " ") {
				t.Errorf("answer %s", a.body)
			}
			if a.header.Get("Content-Type") != "application/json; charset=utf-8" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", a.header)
			}
			checkToken(t, got.AccessToken)
		})
	}
}

// checkToken parses a token as a client that looks into it would.
func checkToken(t *testing.T, text string) {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(text, claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iss", "sub", "aud", "iat", "exp", "scope", "gty", "azp"} {
		if claims[name] == nil {
			t.Errorf("the token has no %s: %v", name, claims)
		}
	}
	if claims["gty"] != "client-credentials" || claims["azp"] != "app" || claims["iss"] != "https://dev-tenant.us.auth0.com/" {
		t.Errorf("claims %v", claims)
	}
}

func TestTokenIsRefused(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"grant_type": "client_credentials", "client_id": "app", "client_secret": "s3cret/+%", "audience": audience,
	}
	tests := map[string]struct {
		change   map[string]string
		want     string
		recorded bool
	}{
		"wrong secret":     {map[string]string{"client_secret": "no"}, `Unauthorized {"error":"access_denied","error_description":"Unauthorized"}`, true},
		"no secret":        {map[string]string{"client_secret": ""}, `Unauthorized {"error":"access_denied","error_description":"Unauthorized"}`, true},
		"unknown client":   {map[string]string{"client_id": "other"}, `Unauthorized {"error":"access_denied","error_description":"Unauthorized"}`, true},
		"wrong audience":   {map[string]string{"audience": "https://other.example.com/"}, `Forbidden {"error":"access_denied","error_description":"Service not enabled within domain: https://other.example.com/"}`, true},
		"no slash":         {map[string]string{"audience": "https://dev-tenant.us.auth0.com/api/v2"}, `Forbidden {"error":"access_denied","error_description":"Service not enabled within domain: https://dev-tenant.us.auth0.com/api/v2"}`, true},
		"no audience":      {map[string]string{"audience": ""}, `Forbidden {"error":"access_denied","error_description":"No audience parameter was provided, and no default audience has been configured"}`, true},
		"other grant":      {map[string]string{"grant_type": "password"}, `Forbidden {"error":"unsupported_grant_type","error_description":"Unsupported grant type: password"}`, true},
		"no grant":         {map[string]string{"grant_type": ""}, `Bad Request {"error":"invalid_request","error_description":"Missing required parameter: grant_type"}`, false},
		"assertion unused": {map[string]string{"client_assertion": "x.y.z"}, `Unauthorized {"error":"invalid_client","error_description":"Failed to verify JWT"}`, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := app(t)
			form := url.Values{}
			for k, v := range good {
				form.Set(k, v)
			}
			for k, v := range tc.change {
				form.Set(k, v)
			}
			if diff := cmp.Diff(tc.want, newClient(t, s).form(form).text()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			want := map[string]int{}
			if tc.recorded {
				want["feccft"] = 1
			}
			if diff := cmp.Diff(want, types(t, s)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenBodyThatIsNone(t *testing.T) {
	t.Parallel()
	c := newClient(t, app(t))
	for contentType, body := range map[string]string{"application/json": "{", "application/x-www-form-urlencoded": "a=%zz"} {
		if a := c.request(http.MethodPost, "/oauth/token", contentType, body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %s", contentType, a.text())
		}
	}
}

// The name of a content type has no case, and may have parameters.
func TestTokenByJSONOfAnySpelling(t *testing.T) {
	t.Parallel()
	c := newClient(t, app(t))
	body := `{"grant_type":"client_credentials","client_id":"app","client_secret":"s3cret/+%","audience":"` + audience + `"}`
	for _, contentType := range []string{"application/json", "Application/JSON", "application/json ; charset=UTF-8"} {
		if a := c.request(http.MethodPost, "/oauth/token", contentType, body); a.status != http.StatusOK {
			t.Errorf("%s: %s", contentType, a.text())
		}
	}
}

func TestBasicMustNameTheSameClient(t *testing.T) {
	t.Parallel()
	s := app(t)
	for id, want := range map[string]int{"": 200, "app": 200, "other": 401} {
		form := url.Values{"grant_type": {"client_credentials"}, "audience": {audience}}
		if id != "" {
			form.Set("client_id", id)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/oauth/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("app", url.QueryEscape("s3cret/+%"))
		if a := newClient(t, s).do(req); a.status != want {
			t.Errorf("client_id %q: %s", id, a.text())
		}
	}
}

func TestRequestedScopesAreCutToTheGranted(t *testing.T) {
	t.Parallel()
	s := app(t)
	c := newClient(t, s)
	a := c.form(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"s3cret/+%"}, "audience": {audience},
		"scope": {"read:logs delete:users"},
	})
	var got struct {
		AccessToken string `json:"access_token"`
		Scope       string `json:"scope"`
	}
	c.decode(a, &got)
	if got.Scope != "read:logs" {
		t.Errorf("scope %q", got.Scope)
	}
	c.token = got.AccessToken
	want := `Forbidden {"statusCode":403,"error":"Forbidden","message":"Insufficient scope; expected any of: create:users.","errorCode":"insufficient_scope"}`
	if diff := cmp.Diff(want, c.post("/api/v2/users", "{}").text()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if a := c.get("/api/v2/logs"); a.status != http.StatusOK {
		t.Errorf("reading logs: %s", a.text())
	}
}

// An exporter that fetches a token for each poll fills the log that it exports.
func TestEachTokenLeavesAnEvent(t *testing.T) {
	t.Parallel()
	s := app(t)
	login(t, s)
	c := login(t, s)
	if diff := cmp.Diff(map[string]int{"seccft": 2}, types(t, s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := s.Stats().Tokens; got != 2 {
		t.Errorf("%d tokens", got)
	}
	if got := c.ids(c.get("/api/v2/logs?q=type:seccft")); len(got) != 2 {
		t.Errorf("found %v", got)
	}
}

func TestBearerToken(t *testing.T) {
	t.Parallel()
	s, other := app(t), start(t, tenant.Options{})
	forged, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"iss": "https://dev-tenant.us.auth0.com/", "scope": "read:logs", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	const (
		missing = `Unauthorized {"statusCode":401,"error":"Unauthorized","message":"Missing authentication"}`
		invalid = `Unauthorized {"statusCode":401,"error":"Unauthorized","message":"Invalid token.","errorCode":"invalid_token"}`
	)
	tests := map[string]struct{ header, want string }{
		"none":              {"", missing},
		"other scheme":      {"Basic YTpi", missing},
		"no token":          {"Bearer ", missing},
		"no JWT":            {"Bearer abc", invalid},
		"other tenant":      {"Bearer " + login(t, other).token, invalid},
		"not signed":        {"Bearer " + forged, invalid},
		"tampered":          {"Bearer " + login(t, s).token + "x", invalid},
		"any case is taken": {"bearer " + login(t, s).token, "OK"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v2/logs?per_page=0", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.header != "" {
				req.Header.Set("Authorization", tc.header)
			}
			a := newClient(t, s).do(req)
			got := a.text()
			if a.status == http.StatusOK {
				got = "OK"
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := login(t, start(t, tenant.Options{TokenLifetime: time.Hour}))
		<-time.After(time.Hour - time.Second)
		if a := c.get("/api/v2/logs"); a.status != http.StatusOK {
			t.Errorf("before its end: %s", a.text())
		}
		<-time.After(2 * time.Second)
		if a := c.get("/api/v2/logs"); a.status != http.StatusUnauthorized {
			t.Errorf("after its end: %s", a.text())
		}
	})
}

// assert signs an assertion, with the claims changed.
func assert(t *testing.T, method jwt.SigningMethod, key *rsa.PrivateKey, change jwt.MapClaims) string {
	t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": "app", "sub": "app", "aud": "https://dev-tenant.us.auth0.com/", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for k, v := range change {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	unused, key, stranger := newKey(t), newKey(t), newKey(t)
	s := start(t, tenant.Options{ClientID: "app", PublicKeys: []*rsa.PublicKey{&unused.PublicKey, &key.PublicKey}})
	now := time.Now()
	tests := map[string]struct {
		method jwt.SigningMethod
		key    *rsa.PrivateKey
		change jwt.MapClaims
		ok     bool
	}{
		"RS256":           {jwt.SigningMethodRS256, key, nil, true},
		"RS384":           {jwt.SigningMethodRS384, key, nil, true},
		"PS256":           {jwt.SigningMethodPS256, key, nil, true},
		"own address":     {jwt.SigningMethodRS256, key, jwt.MapClaims{"aud": base + "/"}, true},
		"audiences":       {jwt.SigningMethodRS256, key, jwt.MapClaims{"aud": []string{"x", "https://dev-tenant.us.auth0.com/"}}, true},
		"five minutes":    {jwt.SigningMethodRS256, key, jwt.MapClaims{"exp": now.Add(5 * time.Minute).Unix()}, true},
		"skewed clock":    {jwt.SigningMethodRS256, key, jwt.MapClaims{"iat": now.Add(5 * time.Second).Unix()}, true},
		"RS512":           {jwt.SigningMethodRS512, key, nil, false},
		"other key":       {jwt.SigningMethodRS256, stranger, nil, false},
		"other issuer":    {jwt.SigningMethodRS256, key, jwt.MapClaims{"iss": "other"}, false},
		"other subject":   {jwt.SigningMethodRS256, key, jwt.MapClaims{"sub": "other"}, false},
		"other audience":  {jwt.SigningMethodRS256, key, jwt.MapClaims{"aud": "https://other.example.com/"}, false},
		"no slash":        {jwt.SigningMethodRS256, key, jwt.MapClaims{"aud": "https://dev-tenant.us.auth0.com"}, false},
		"too long":        {jwt.SigningMethodRS256, key, jwt.MapClaims{"exp": now.Add(10 * time.Minute).Unix()}, false},
		"expired":         {jwt.SigningMethodRS256, key, jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}, false},
		"without end":     {jwt.SigningMethodRS256, key, jwt.MapClaims{"exp": nil}, false},
		"without an id":   {jwt.SigningMethodRS256, key, jwt.MapClaims{"jti": nil}, false},
		"from the future": {jwt.SigningMethodRS256, key, jwt.MapClaims{"iat": now.Add(time.Minute).Unix()}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newClient(t, s).form(assertionForm(assert(t, tc.method, tc.key, tc.change)))
			if (a.status == http.StatusOK) != tc.ok {
				t.Errorf("answer %s", a.text())
			}
		})
	}
}

func assertionForm(assertion string) url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "audience": {audience},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	}
}

func TestAssertionWorksOnce(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, start(t, tenant.Options{ClientID: "app", PublicKeys: []*rsa.PublicKey{&key.PublicKey}}))
		form := assertionForm(assert(t, jwt.SigningMethodRS256, key, jwt.MapClaims{"jti": "one"}))
		want := []int{http.StatusOK, http.StatusUnauthorized}
		if diff := cmp.Diff(want, []int{c.form(form).status, c.form(form).status}); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		<-time.After(10 * time.Minute) // the id of an assertion that has ended may come again
		if a := c.form(assertionForm(assert(t, jwt.SigningMethodRS256, key, jwt.MapClaims{"jti": "one"}))); a.status != http.StatusOK {
			t.Errorf("later: %s", a.text())
		}
		form = assertionForm(assert(t, jwt.SigningMethodRS256, key, nil))
		form.Set("client_id", "other")
		if a := c.form(form); a.status != http.StatusUnauthorized {
			t.Errorf("other client_id: %s", a.text())
		}
	})
}
