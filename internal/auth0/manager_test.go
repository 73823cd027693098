package auth0_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// managed runs a tenant with an application that has the scopes, those of setup when
// there are none, and returns a manager that works as it.
func managed(t *testing.T, opts tenant.Options, scopes ...string) (*tenant.Server, *auth0.Manager) {
	t.Helper()
	if scopes == nil {
		scopes = tenant.SetupScopes()
	}
	opts.Applications = append(opts.Applications, tenant.Application{Name: "Setup", ClientID: "admin", ClientSecret: "admin-secret", Scopes: scopes})
	s, err := tenant.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	m, err := auth0.NewManager(auth0.ManagerConfig{Domain: "dev-tenant.us.auth0.com", ClientID: "admin", ClientSecret: "admin-secret"},
		auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(s)}})
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

// reader returns a client of the same tenant that has the credentials.
func reader(t *testing.T, s *tenant.Server, id, secret string) *auth0.Client {
	t.Helper()
	c, err := auth0.New(auth0.Config{Domain: "dev-tenant.us.auth0.com", ClientID: id, ClientSecret: secret, RateShare: 1},
		auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(s)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// must ends the test at an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failedAs returns the *Error that an error is.
func failedAs(t *testing.T, err error, kind auth0.Kind) *auth0.Error {
	t.Helper()
	e, isIt := errors.AsType[*auth0.Error](err)
	if !isIt || e.Kind != kind {
		t.Fatalf("error %v, want kind %v", err, kind)
	}
	return e
}

// wantKind is failedAs without the error.
func wantKind(t *testing.T, err error, kind auth0.Kind) {
	t.Helper()
	_ = failedAs(t, err, kind)
}

// What setup does, with what it gets: an application that reads logs and nothing else.
func TestAManagerMakesAnApplication(t *testing.T) {
	t.Parallel()
	s, m := managed(t, tenant.Options{})
	ctx := t.Context()
	app := must(m.CreateApplication(ctx, auth0.NewApplication{Name: "gapless", Description: "d", Metadata: map[string]string{"gapless:setup": "gapless"}}))(t)
	if len(app.Secret.Reveal()) != 64 || !slices.Equal(app.GrantTypes, []string{"client_credentials"}) {
		t.Errorf("application %+v", app)
	}
	ok(t, m.CreateGrant(ctx, app.ClientID, m.Audience(), []string{"read:logs"}))
	e := failedAs(t, m.CreateGrant(ctx, app.ClientID, m.Audience(), []string{"read:logs"}), auth0.Conflict)
	if !strings.Contains(e.Error(), "already exists between") {
		t.Errorf("second grant: %v", e)
	}
	if _, err := reader(t, s, app.ClientID, app.Secret.Reveal()).Search(ctx, auth0.SearchQuery{PerPage: 1}); err != nil {
		t.Errorf("the application cannot read the log: %v", err)
	}
	own, err := auth0.NewManager(auth0.ManagerConfig{Domain: "dev-tenant.us.auth0.com", ClientID: app.ClientID, ClientSecret: app.Secret.Reveal()},
		auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(s)}})
	ok(t, err)
	_, err = own.LogStreams(ctx)
	wantKind(t, err, auth0.Forbidden)

	got := must(m.Application(ctx, app.ClientID))(t)
	app.Secret = auth0.Hidden{} // which is not asked for
	if diff := cmp.Diff(app, got, cmp.AllowUnexported(auth0.Hidden{})); diff != "" {
		t.Errorf("application (-made +read):\n%s", diff)
	}
	if secret := must(m.ApplicationSecret(ctx, app.ClientID))(t); len(secret.Reveal()) != 64 {
		t.Error("the secret cannot be read back")
	}
	grants := must(m.Grants(ctx, app.ClientID, m.Audience()))(t)
	ok(t, m.SetGrant(ctx, grants[0].ID, []string{"read:logs", "read:users"}))
	if grants = must(m.Grants(ctx, app.ClientID, m.Audience()))(t); !slices.Equal(grants[0].Scopes, []string{"read:logs", "read:users"}) {
		t.Errorf("grants %+v", grants)
	}
	ok(t, m.DeleteGrant(ctx, grants[0].ID))
	ok(t, m.DeleteGrant(ctx, grants[0].ID)) // gone already
	ok(t, m.DeleteApplication(ctx, app.ClientID))
	ok(t, m.DeleteApplication(ctx, app.ClientID))
	_, err = m.Application(ctx, app.ClientID)
	wantKind(t, err, auth0.NotFound)
}

// recordedKey is a public key of a recorded answer of Auth0, and recordedKID what it
// has for it.
const (
	recordedKey = "-----BEGIN PUBLIC KEY-----\nMIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA3njxXJoHnuN4hByBhSUo\n0kIbXkJTA0wP0fig87MyVz5KgohPrPJgbRSZ7yz/MmXa4qRNHkWiClJybMS2a98M\n6ELOFG8pfDb6J7JaJqx0Kvqn6xsGInbpwsth3K582Cxrp+Y+GBNja++8wDY5IqAi\nTSKSZRNies0GO0grzQ7kj2p0+R7a0c86mdLO4JnGrHoBqEY1HcsfnJvkJkqETlGi\nyMzDQw8Wkux7P59N/3wuroAI83+HMYl1fV39ek3L/GrsLjECrNe5/CVFtblNltyb\n/va9+pAP7Ye5p6tTW2oj3fzUvdX3dYzENWEtRB7DBHXnfEHMjTaBiQeWb2yDHBCw\n++Uh1OCKw9ZLYzoE6gcDQspYf+fFU3F0kuU4c//gSoNuj/iEjaNmOEK6S3xGy8fE\nTjsC+0oF6YaokDZO9+NreL/sGxFfOAysybrKWrMoaYwa81RlpcmBGZM7H1M00zLH\nPPfCYVhGhFs5X3Qzzt6MQE+msgMt9zeGH7liJbOSW2NGSJwbmn7q35YYIfJEoXRF\n1iefT/9fJB9vhQhtYfCOe3AEpTQq6Yz5ViLhToBdsVDBbz2gmRLALs9/D91SE9T4\nXzvXjHGyxWVu0jdvS9hyhJzP4165k1cYDgx8mmg0VxR7j79LmCUDsFcvvSrAOf6y\n0zY7r4pmNyQQ0r4in/gs/wkCAwEAAQ==\n-----END PUBLIC KEY-----\n"
	recordedKID = "QTtPEeOT2gWWuID0QDg6nHgh7foYRcWkOyJ9DhNIn_A"
)

func TestAManagerMakesAnApplicationThatSigns(t *testing.T) {
	t.Parallel()
	_, m := managed(t, tenant.Options{})
	ctx := t.Context()
	if kid, err := auth0.Thumbprint(recordedKey); err != nil || kid != recordedKID {
		t.Errorf("thumbprint %q, %v", kid, err)
	}
	if _, err := auth0.Thumbprint("x"); err == nil {
		t.Error("a text that is no key has a thumbprint")
	}
	app := must(m.CreateApplication(ctx, auth0.NewApplication{Name: "gapless", PublicKey: recordedKey, KeyName: "one"}))(t)
	keys := must(m.Credentials(ctx, app.ClientID))(t)
	if len(keys) != 1 || keys[0].KID != recordedKID || keys[0].Name != "one" || !slices.Equal(app.KeyIDs, []string{keys[0].ID}) {
		t.Errorf("credentials %+v of %+v", keys, app)
	}
	added := must(m.AddCredential(ctx, app.ClientID, "two", recordedKey))(t)
	ok(t, m.SignWith(ctx, app.ClientID, added.ID))
	ok(t, m.DeleteCredential(ctx, app.ClientID, keys[0].ID))
	ok(t, m.DeleteCredential(ctx, app.ClientID, keys[0].ID))
	if app = must(m.Application(ctx, app.ClientID))(t); !slices.Equal(app.KeyIDs, []string{added.ID}) {
		t.Errorf("signs with %q", app.KeyIDs)
	}
	ok(t, m.UseSecret(ctx, app.ClientID))
	app.GrantTypes = []string{"implicit"}
	ok(t, m.AllowClientCredentials(ctx, app))
	if app = must(m.Application(ctx, app.ClientID))(t); app.KeyIDs != nil || !slices.Equal(app.GrantTypes, []string{"implicit", "client_credentials"}) {
		t.Errorf("application %+v", app)
	}
}

func TestAManagerMakesLogStreams(t *testing.T) {
	t.Parallel()
	s, m := managed(t, tenant.Options{Streams: tenant.StreamOptions{Max: 2}})
	ctx := t.Context()
	compare := cmp.Options{cmp.AllowUnexported(auth0.Hidden{}), cmpopts.IgnoreUnexported(auth0.LogStream{}), cmpopts.EquateEmpty()}
	want := auth0.LogStream{
		Name: "gapless", Type: "http", Endpoint: "https://gapless.example.com/v1/tenants/dev/logs", Authorization: auth0.Hide("stream-token"),
		Categories: []string{"auth.login.fail", "user.fail"}, PIIFields: []string{"email"}, PIIMethod: "hash",
	}
	made := must(m.CreateLogStream(ctx, want))(t)
	want.ID, want.Status = "lst_0000000000000001", auth0.StreamActive
	if diff := cmp.Diff(want, made, compare); diff != "" {
		t.Errorf("stream (-want +made):\n%s", diff)
	}
	bus := must(m.CreateLogStream(ctx, auth0.LogStream{Name: "bus", Type: "eventbridge", AWSAccount: "123456789012", AWSRegion: "eu-central-1"}))(t)
	if !strings.HasPrefix(bus.PartnerSource, "aws.partner/auth0.com/") {
		t.Errorf("stream to EventBridge %+v", bus)
	}
	_, err := m.CreateLogStream(ctx, want)
	if e := failedAs(t, err, auth0.Conflict); !strings.Contains(e.Hint, "push: none") {
		t.Errorf("a third stream: %v, hint %q", e, e.Hint)
	}

	made.Endpoint, made.Authorization, made.Categories, made.PIIFields = "https://new.example.com/", auth0.Hide("other"), nil, nil
	ok(t, m.UpdateLogStream(ctx, made))
	bus.Categories = []string{"other"}
	ok(t, m.UpdateLogStream(ctx, bus))
	ok(t, m.SetLogStreamStatus(ctx, bus, auth0.StreamPaused))
	made.PIIMethod, bus.Status = "", auth0.StreamPaused
	if diff := cmp.Diff([]auth0.LogStream{made, bus}, must(m.LogStreams(ctx))(t), compare); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(bus, must(m.LogStream(ctx, bus.ID))(t), compare); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	ok(t, m.DeleteLogStream(ctx, made.ID))
	ok(t, m.DeleteLogStream(ctx, made.ID))
	_, err = m.LogStream(ctx, made.ID)
	wantKind(t, err, auth0.NotFound)
	if n := s.Stats().Requests["POST /api/v2/log-streams"]; n != 3 {
		t.Errorf("%d streams were asked for", n)
	}
}

// What a change does not speak of stays as somebody else has set it.
func TestAChangeKeepsTheRestOfALogStream(t *testing.T) {
	t.Parallel()
	s, m := managed(t, tenant.Options{})
	id := must(s.CreateLogStream([]byte(`{"name":"gapless","type":"http","sink":{"httpEndpoint":"https://a.example.com","httpContentFormat":"JSONOBJECT","httpAuthorization":"tok","httpCustomHeaders":[{"header":"X-A","value":"b"}]},"pii_config":{"log_fields":["email"]}}`)))(t)
	st := must(m.LogStream(t.Context(), id))(t)
	st.Endpoint = "https://b.example.com"
	ok(t, m.UpdateLogStream(t.Context(), st))
	ok(t, m.SetLogStreamStatus(t.Context(), st, auth0.StreamPaused))
	var raw struct {
		Sink map[string]any `json:"sink"`
		PII  map[string]any `json:"pii_config"`
	}
	token := tokenOf(t, s, "admin", "admin-secret")
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "https://dev-tenant.us.auth0.com/api/v2/log-streams/"+id, http.NoBody))(t)
	req.Header.Set("Authorization", "Bearer "+token)
	ask(t, s, req, &raw)
	if got := fmt.Sprint(raw.Sink, raw.PII); got != "map[httpAuthorization:tok httpContentFormat:JSONOBJECT httpContentType:application/json httpCustomHeaders:[map[header:X-A value:b]] httpEndpoint:https://b.example.com] map[algorithm:xxhash log_fields:[email] method:mask]" {
		t.Errorf("stream %s", got)
	}
}

// tokenOf asks for a token.
func tokenOf(t *testing.T, s *tenant.Server, id, secret string) string {
	t.Helper()
	form := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret + "&audience=https://dev-tenant.us.auth0.com/api/v2/"
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "https://dev-tenant.us.auth0.com/oauth/token", strings.NewReader(form)))(t)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var said struct {
		Token string `json:"access_token"`
	}
	ask(t, s, req, &said)
	return said.Token
}

// ask sends a request to the tenant and reads the answer.
func ask(t *testing.T, s *tenant.Server, req *http.Request, out any) {
	t.Helper()
	resp, err := emulator.Transport(s).RoundTrip(req)
	ok(t, err)
	defer func() { _ = resp.Body.Close() }()
	ok(t, json.NewDecoder(resp.Body).Decode(out))
}

func TestAManagerWorksWithAGivenToken(t *testing.T) {
	t.Parallel()
	s, _ := managed(t, tenant.Options{})
	with := func(token string) *auth0.Manager {
		return must(auth0.NewManager(auth0.ManagerConfig{Domain: "dev-tenant.us.auth0.com", Token: token}, auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(s)}}))(t)
	}
	token := tokenOf(t, s, "admin", "admin-secret")
	if _, err := with(token).Applications(t.Context()); err != nil {
		t.Error(err)
	}
	issued := s.Stats().Tokens
	_, err := with(token[:len(token)-4] + "AAAA").Applications(t.Context())
	if e := failedAs(t, err, auth0.Unauthorized); !strings.Contains(e.Hint, "take another one for dev-tenant.us.auth0.com") || strings.Contains(e.Error(), token[:20]) {
		t.Errorf("void token: %v, hint %q", e, e.Hint)
	}
	if s.Stats().Tokens != issued {
		t.Error("a manager with a token asked for another")
	}
	id, secret := s.Credentials()
	_, err = with(tokenOf(t, s, id, secret)).Applications(t.Context())
	if e := failedAs(t, err, auth0.Forbidden); !strings.Contains(e.Hint, "add the scope read:clients") || !strings.Contains(e.Hint, "take a new token") {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestManagerConfigurationsAreChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]auth0.ManagerConfig{
		"neither a token nor":      {Domain: "a.auth0.com", ClientID: "a"},
		"are both given":           {Domain: "a.auth0.com", ClientID: "a", ClientSecret: "b", Token: "c"},
		"such as a space or a":     {Domain: "a.auth0.com", Token: "c d"},
		"domain is empty":          {Token: "c"},
		"request_timeout is -1":    {Domain: "a.auth0.com", Token: "c", RequestTimeout: -1},
		`audience "x" is no URL: `: {Domain: "a.auth0.com", Token: "c", Audience: "x"},
	} {
		if _, err := auth0.NewManager(cfg, auth0.Deps{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %s", err, want)
		}
	}
}

// Each scope that is missing is named, and where to add it.
func TestAMissingScopeIsNamed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	calls := map[string]func(*auth0.Manager) error{
		"read:clients": func(m *auth0.Manager) error { _, err := m.Applications(ctx); return err },
		"create:clients": func(m *auth0.Manager) error {
			_, err := m.CreateApplication(ctx, auth0.NewApplication{Name: "a"})
			return err
		},
		"update:clients":          func(m *auth0.Manager) error { return m.UseSecret(ctx, "admin") },
		"delete:clients":          func(m *auth0.Manager) error { return m.DeleteApplication(ctx, "x") },
		"read:client_credentials": func(m *auth0.Manager) error { _, err := m.Credentials(ctx, "admin"); return err },
		"create:client_credentials": func(m *auth0.Manager) error {
			_, err := m.CreateApplication(ctx, auth0.NewApplication{Name: "a", PublicKey: recordedKey})
			return err
		},
		"update:client_credentials": func(m *auth0.Manager) error { return m.SignWith(ctx, "admin", "cred_1") },
		"delete:client_credentials": func(m *auth0.Manager) error { return m.DeleteCredential(ctx, "admin", "cred_1") },
		"read:client_grants":        func(m *auth0.Manager) error { _, err := m.Grants(ctx, "admin", "a"); return err },
		"create:client_grants":      func(m *auth0.Manager) error { return m.CreateGrant(ctx, "admin", "a", nil) },
		"update:client_grants":      func(m *auth0.Manager) error { return m.SetGrant(ctx, "cgr_1", nil) },
		"delete:client_grants":      func(m *auth0.Manager) error { return m.DeleteGrant(ctx, "cgr_1") },
		"read:log_streams":          func(m *auth0.Manager) error { _, err := m.LogStreams(ctx); return err },
		"create:log_streams":        func(m *auth0.Manager) error { _, err := m.CreateLogStream(ctx, auth0.LogStream{}); return err },
		"update:log_streams":        func(m *auth0.Manager) error { return m.UpdateLogStream(ctx, auth0.LogStream{ID: "lst_1"}) },
		"delete:log_streams":        func(m *auth0.Manager) error { return m.DeleteLogStream(ctx, "lst_1") },
	}
	needed := auth0.SetupScopes(true, true)
	for scope, call := range calls {
		scopes := slices.DeleteFunc(slices.Clone(needed), func(s string) bool {
			return s == scope || scope == "read:clients" && s == "read:client_keys"
		})
		_, m := managed(t, tenant.Options{}, scopes...)
		if e := failedAs(t, call(m), auth0.Forbidden); !strings.Contains(e.Hint, "add the scope "+scope+" to") {
			t.Errorf("without %s: %v, hint %q", scope, e, e.Hint)
		}
		if !slices.Contains(needed, scope) {
			t.Errorf("SetupScopes lacks %s", scope)
		}
	}
	if len(calls) != len(needed)-1 { // read:client_keys refuses nothing
		t.Errorf("%d calls for the scopes %q", len(calls), needed)
	}
	if short := auth0.SetupScopes(false, false); len(short) != 9 {
		t.Errorf("for an application alone: %q", short)
	}
}

func TestAManagerReadsListsToTheirEnd(t *testing.T) {
	t.Parallel()
	var more []tenant.Application
	for i := range 250 {
		more = append(more, tenant.Application{Name: fmt.Sprint("app ", i), ClientID: fmt.Sprint("id-", i)})
	}
	s, m := managed(t, tenant.Options{Applications: more})
	list := must(m.Applications(t.Context()))(t)
	seen := map[string]bool{}
	for _, a := range list {
		seen[a.ClientID] = true
	}
	if len(list) != 252 || len(seen) != 252 || s.Stats().Requests["GET /api/v2/clients"] != 3 {
		t.Errorf("%d applications, %d of them different, in %d calls", len(list), len(seen), s.Stats().Requests["GET /api/v2/clients"])
	}
}

// A passing fault is waited out, but what makes something is never sent twice.
func TestAManagerRepeatsWhatMayBeRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faults := emulator.NewFaults(
			emulator.Fault{Match: "GET /api/v2/log-streams", Times: 2, Status: http.StatusBadGateway},
			emulator.Fault{Match: "GET /api/v2/client-grants", Times: -1, Kind: emulator.FaultCut},
			emulator.Fault{Match: "POST /api/v2/log-streams", Kind: emulator.FaultLost},
			emulator.Fault{Match: "DELETE *", Kind: emulator.FaultLost},
			emulator.Fault{Match: "GET /api/v2/clients", Kind: emulator.FaultGarbage, Times: -1},
		)
		s, m := managed(t, tenant.Options{Faults: faults})
		ctx := t.Context()
		if _, err := m.LogStreams(ctx); err != nil {
			t.Errorf("after two faults: %v", err)
		}
		_, err := m.Grants(ctx, "admin", "a")
		wantKind(t, err, auth0.Transient)
		_, err = m.Applications(ctx)
		wantKind(t, err, auth0.Transient)
		st := auth0.LogStream{Name: "gapless", Type: "http", Endpoint: "https://gapless.example.com", Authorization: auth0.Hide("tok")}
		_, err = m.CreateLogStream(ctx, st)
		wantKind(t, err, auth0.Transient)
		list := must(m.LogStreams(ctx))(t)
		if len(list) != 1 {
			t.Fatalf("%d streams", len(list))
		}
		ok(t, m.DeleteLogStream(ctx, list[0].ID)) // its answer was lost, and the next one says that it is gone
		counts := s.Stats().Requests
		if counts["POST /api/v2/log-streams"] != 1 || counts["GET /api/v2/client-grants"] != 3 || counts["DELETE /api/v2/log-streams/{id}"] != 2 {
			t.Errorf("calls %v", counts)
		}
	})
}

func TestAManagerWaitsForTheRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refusal := emulator.Fault{Match: "POST /api/v2/clients", Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"}}
		s, m := managed(t, tenant.Options{Plan: tenant.Free, Faults: emulator.NewFaults(refusal)})
		began := time.Now()
		app := must(m.CreateApplication(t.Context(), auth0.NewApplication{Name: "gapless"}))(t)
		if waited := time.Since(began); waited < 7*time.Second || waited > 10*time.Second {
			t.Errorf("waited %v", waited)
		}
		for range 5 { // the plan has two calls a second
			must(m.Application(t.Context(), app.ClientID))(t)
		}
		for _, raw := range s.Events() {
			if strings.Contains(string(raw), `"type":"api_limit"`) {
				t.Error("the limit was reached")
			}
		}
		refusal.Header["Retry-After"] = "3000"
		s.Faults().Add(refusal)
		_, err := m.CreateApplication(t.Context(), auth0.NewApplication{Name: "gapless"})
		if e := failedAs(t, err, auth0.Throttled); e.RetryAfter != 3000*time.Second {
			t.Errorf("retry after %v", e.RetryAfter)
		}
	})
}

// Neither an error nor a print shows what is secret.
func TestAManagerShowsNoSecrets(t *testing.T) {
	t.Parallel()
	faults := emulator.NewFaults()
	s, m := managed(t, tenant.Options{Faults: faults})
	token := tokenOf(t, s, "admin", "admin-secret")
	faults.Add(emulator.Fault{Match: "POST /api/v2/log-streams", Status: 400, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"statusCode":400,"message":"bad value stream-token-1 in ` + token + `"}`})
	_, err := m.CreateLogStream(t.Context(), auth0.LogStream{Name: "a", Type: "http", Endpoint: "https://a.example.com", Authorization: auth0.Hide("stream-token-1")})
	if e := failedAs(t, err, auth0.BadRequest); !strings.Contains(e.Error(), "bad value ***** in *****") {
		t.Errorf("error %v", e)
	}
	st := must(m.CreateLogStream(t.Context(), auth0.LogStream{Name: "a", Type: "http", Endpoint: "https://a.example.com", Authorization: auth0.Hide("stream-token-1")}))(t)
	st = must(m.LogStream(t.Context(), st.ID))(t)
	if st.Authorization.Reveal() != "stream-token-1" {
		t.Error("the authorization is not there")
	}
	text, err := json.Marshal(st)
	ok(t, err)
	asBytes := strings.Trim(fmt.Sprintf("%v", []byte("stream-token-1")), "[]")
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v", st, st, st), string(text)} {
		if strings.Contains(shown, "stream-token-1") || strings.Contains(shown, asBytes) {
			t.Errorf("shown: %s", shown)
		}
	}
}
