package provision_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// dev is a configuration of the emulated tenant.
const dev = `
aws: {region: eu-central-1}
webhook: {listen: "127.0.0.1:8443"}
tenants:
  - {name: dev, domain: dev-tenant.us.auth0.com, client_id: to-be-made, client_secret: "env:S", webhook: {token: "env:T"}}
`

// loaded reads a configuration.
func loaded(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load(t.Context(), config.LoadOptions{File: "gapless.yaml", ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// site is a tenant, with what setup needs to work on it.
type site struct {
	t       *testing.T
	tenant  *tenant.Server
	cfg     *config.Config
	options stack.Options
	login   provision.Auth0Login

	providers []provision.Provider // beside that of Auth0
	values    provision.Values
	secrets   []string // that were saved: TENANT ID SECRET
	saveFails error
}

// newSite starts a tenant with an application that has the scopes, those of setup when
// there are none.
func newSite(t *testing.T, text string, opts tenant.Options, scopes ...string) *site {
	t.Helper()
	if scopes == nil {
		scopes = auth0.SetupScopes(true, true)
	}
	opts.Applications = append(opts.Applications, tenant.Application{Name: "Setup", ClientID: "admin", ClientSecret: "admin-secret", Scopes: scopes})
	if opts.Streams.HTTPClient == nil { // a test reaches nobody
		opts.Streams.HTTPClient = &http.Client{Transport: newHook()}
	}
	s, err := tenant.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{
		t: t, tenant: s, cfg: loaded(t, text), login: provision.Auth0Login{ClientID: "admin", ClientSecret: "admin-secret"}, values: provision.Values{},
		options: stack.Options{
			Parts: []string{stack.PartAuth0}, WebhookURL: "https://gapless.example.com",
			Reveal: func(config.Secret) (string, error) { return "webhook-token-1", nil },
		},
	}
}

// client is the HTTP client that reaches the tenant.
func (s *site) client() *http.Client { return &http.Client{Transport: emulator.Transport(s.tenant)} }

// engine makes a new engine, which knows nothing of what was done before.
func (s *site) engine() (*provision.Engine, stack.Stack) {
	s.t.Helper()
	st, err := stack.New(s.cfg, s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	managers := provision.Auth0Managers(s.cfg, func(string) (provision.Auth0Login, error) { return s.login, nil }, auth0.Deps{HTTPClient: s.client()})
	ours := provision.NewAuth0(provision.Auth0Options{Owner: "gapless", Manager: managers, SaveSecret: func(tenant, id, secret string) error {
		s.secrets = append(s.secrets, tenant+" "+id+" "+secret)
		return s.saveFails
	}})
	e, err := provision.New(provision.Options{Wait: func(context.Context, time.Duration) error { return nil }}, s.values, append(s.providers, ours)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return e, st
}

// plan returns what is to be done, a line for each step: action, ID and paths.
func (s *site) plan() []string {
	s.t.Helper()
	e, st := s.engine()
	p, err := e.Plan(s.t.Context(), st)
	if err != nil {
		s.t.Fatal(err)
	}
	return lines(p)
}

func lines(p provision.Plan) (out []string) {
	for _, step := range p.Steps {
		words := []string{string(step.Action), step.Resource.ID().String()}
		if step.Action != provision.ActionCreate {
			for _, d := range step.Differences {
				words = append(words, d.Path)
			}
		}
		if step.Note != "" {
			words = append(words, "("+step.Note+")")
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

// apply carries the plan out.
func (s *site) apply() error {
	s.t.Helper()
	e, st := s.engine()
	p, err := e.Plan(s.t.Context(), st)
	if err != nil {
		return err
	}
	out, err := e.Apply(s.t.Context(), p, nil)
	for _, u := range out.Unkept {
		s.t.Errorf("not kept: %s %+v", u.Resource.ID(), u.Differences)
	}
	return err
}

// must applies, and expects that nothing is to be done then.
func (s *site) must() {
	s.t.Helper()
	if err := s.apply(); err != nil {
		s.t.Fatal(err)
	}
	for _, line := range s.plan() {
		if !strings.HasPrefix(line, "keep ") {
			s.t.Errorf("after apply: %s", line)
		}
	}
}

// destroy carries a removal out and returns its steps.
func (s *site) destroy() []string {
	s.t.Helper()
	e, st := s.engine()
	p, err := e.PlanRemoval(s.t.Context(), st)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := e.Apply(s.t.Context(), p, nil); err != nil {
		s.t.Fatal(err)
	}
	return lines(p)
}

// admin is a manager of the tenant.
func (s *site) admin() *auth0.Manager {
	s.t.Helper()
	m, err := auth0.NewManager(auth0.ManagerConfig{Domain: "dev-tenant.us.auth0.com", ClientID: "admin", ClientSecret: "admin-secret"}, auth0.Deps{HTTPClient: s.client()})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// apps are the applications of a name.
func (s *site) apps(name string) []auth0.Application {
	s.t.Helper()
	list, err := s.admin().Applications(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(a auth0.Application) bool { return a.Name != name })
}

// streams are the log streams.
func (s *site) streams() []auth0.LogStream {
	s.t.Helper()
	list, err := s.admin().LogStreams(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// reader is a client as an application.
func (s *site) reader(c auth0.Config) *auth0.Client {
	s.t.Helper()
	c.Domain, c.RateShare = "dev-tenant.us.auth0.com", 1
	out, err := auth0.New(c, auth0.Deps{HTTPClient: s.client()})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// reads reports why an application cannot read the log.
func (s *site) reads(c auth0.Config) error {
	s.t.Helper()
	_, err := s.reader(c).Search(s.t.Context(), auth0.SearchQuery{PerPage: 1})
	return err
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// The application that is made reads the log and does nothing else; what others change
// is set right, and in the end it is gone, and nothing else.
func TestAnApplicationThatReadsTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, dev, tenant.Options{})
	equal(t, "plan", s.plan(), "create Auth0 application dev/gapless")
	s.must()
	if len(s.secrets) != 1 {
		t.Fatalf("%d secrets were saved", len(s.secrets))
	}
	parts := strings.Fields(s.secrets[0])
	cfg := auth0.Config{ClientID: parts[1], ClientSecret: parts[2]}
	if parts[0] != "dev" || s.reads(cfg) != nil {
		t.Errorf("the application %s cannot read: %v", parts[1], s.reads(cfg))
	}
	as, err := auth0.NewManager(auth0.ManagerConfig{Domain: "dev-tenant.us.auth0.com", ClientID: parts[1], ClientSecret: parts[2]}, auth0.Deps{HTTPClient: s.client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := as.LogStreams(t.Context()); err == nil {
		t.Error("the application may do more than read the log")
	}

	grants, err := s.admin().Grants(t.Context(), parts[1], as.Audience())
	if err != nil || len(grants) != 1 {
		t.Fatalf("grants %+v, %v", grants, err)
	}
	if err := s.admin().SetGrant(t.Context(), grants[0].ID, []string{"read:users", "read:logs"}); err != nil {
		t.Fatal(err)
	}
	equal(t, "plan", s.plan(), "change Auth0 application dev/gapless scopes[read:users]")
	s.must()
	if err := s.admin().DeleteGrant(t.Context(), grants[0].ID); err != nil {
		t.Fatal(err)
	}
	equal(t, "plan", s.plan(), "change Auth0 application dev/gapless scopes[read:logs]")
	s.must()
	if n := len(s.apps("gapless")); n != 1 || len(s.secrets) != 1 {
		t.Errorf("%d applications, %d secrets", n, len(s.secrets))
	}
	equal(t, "removal", s.destroy(), "remove Auth0 application dev/gapless")
	equal(t, "removal", s.destroy(), "gone Auth0 application dev/gapless")
	if err := s.reads(cfg); err == nil {
		t.Error("the application still reads")
	}
	if len(s.apps("Setup")) != 1 || len(s.apps("Log Export")) != 1 {
		t.Error("an application of others is gone")
	}
}

// What a person has made already stays as it is, and is not made again.
func TestAnApplicationOfOthersIsLeft(t *testing.T) {
	t.Parallel()
	opts := tenant.Options{ClientID: "by-hand", ClientSecret: "x", Scopes: []string{"read:logs", "read:users"}}
	s := newSite(t, strings.Replace(dev, "to-be-made", "by-hand", 1), opts)
	const step = "leave Auth0 application dev/gapless scopes[read:users] (client_id of the configuration names it, and others made it)"
	equal(t, "plan", s.plan(), step)
	if err := s.apply(); err != nil {
		t.Fatal(err)
	}
	equal(t, "removal", s.destroy(), "leave Auth0 application dev/gapless (client_id of the configuration names it, and others made it)")
	equal(t, "plan", s.plan(), step)
	if len(s.apps("gapless"))+len(s.secrets) != 0 {
		t.Error("a second application was made")
	}
	// Neither is one of the name that is not marked as ours.
	s = newSite(t, dev, tenant.Options{Applications: []tenant.Application{{Name: "gapless", ClientID: "other", ClientSecret: "x"}}})
	s.must()
	if apps := s.apps("gapless"); len(apps) != 2 {
		t.Errorf("%d applications", len(apps))
	}
	s.destroy()
	if apps := s.apps("gapless"); len(apps) != 1 || apps[0].ClientID != "other" {
		t.Errorf("applications %+v", apps)
	}
}

// Whichever answer is lost, and whichever step fails, there is one application and one
// log stream in the end.
func TestNothingInAuth0IsMadeTwice(t *testing.T) {
	t.Parallel()
	for _, kind := range []emulator.FaultKind{emulator.FaultLost, emulator.FaultCut, emulator.FaultAnswer, emulator.FaultGarbage, emulator.FaultTruncate} {
		for _, match := range []string{"POST /api/v2/clients", "POST /api/v2/client-grants", "POST /api/v2/log-streams", "GET /api/v2/clients", "GET /api/v2/client-grants", "GET /api/v2/log-streams"} {
			t.Run(string(kind)+" "+match, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, dev, tenant.Options{})
					s.options.Push = stack.PushWebhook
					for after := range 4 {
						s.tenant.Faults().Add(emulator.Fault{Match: match, Kind: kind, Status: http.StatusBadGateway, After: after})
						_ = s.apply() // may fail, and is run again
					}
					s.tenant.Faults().Clear()
					s.must()
					if apps, streams := len(s.apps("gapless")), len(s.streams()); apps != 1 || streams != 1 {
						t.Errorf("%d applications and %d log streams", apps, streams)
					}
					if len(s.secrets) > 1 {
						t.Errorf("%d secrets were saved", len(s.secrets))
					}
				})
			})
		}
	}
}

// A lost answer to the creation takes the secret with it; it is read back.
func TestTheSecretOfALostAnswerIsReadBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, dev, tenant.Options{Faults: emulator.NewFaults(emulator.Fault{Match: "POST /api/v2/clients", Kind: emulator.FaultLost})})
	s.must()
	if len(s.secrets) != 1 {
		t.Fatalf("%d secrets", len(s.secrets))
	}
	parts := strings.Fields(s.secrets[0])
	if err := s.reads(auth0.Config{ClientID: parts[1], ClientSecret: parts[2]}); err != nil {
		t.Error(err)
	}
	// A token that may not read it leaves it to the Dashboard.
	scopes := slices.DeleteFunc(auth0.SetupScopes(true, true), func(s string) bool { return s == "read:client_keys" })
	s = newSite(t, dev, tenant.Options{Faults: emulator.NewFaults(emulator.Fault{Match: "POST /api/v2/clients", Kind: emulator.FaultLost})}, scopes...)
	s.must()
	if len(s.secrets) != 0 || len(s.apps("gapless")) != 1 {
		t.Errorf("secrets %q, %d applications", s.secrets, len(s.apps("gapless")))
	}
}

func TestASecretThatCannotBeSavedIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, dev, tenant.Options{})
	s.saveFails = errors.New("the disk is full")
	err := s.apply()
	if err == nil || !strings.Contains(err.Error(), "which the Auth0 Dashboard shows: the disk is full") {
		t.Errorf("error %v", err)
	}
	if secret := strings.Fields(s.secrets[0])[2]; strings.Contains(err.Error(), secret) {
		t.Error("the error shows the secret")
	}
	s.must() // grants what was not granted yet
}

// keyPair makes a private key in PEM.
func keyPair(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// An application that signs has the public half of private_key; another key takes its
// place, and a secret the place of keys.
func TestAnApplicationThatSigns(t *testing.T) {
	t.Parallel()
	first, second := keyPair(t), keyPair(t)
	s := newSite(t, strings.Replace(dev, "client_secret", "private_key", 1), tenant.Options{})
	use := func(key string) { s.options.Reveal = func(config.Secret) (string, error) { return key, nil } }
	use(first)
	s.must()
	id := s.apps("gapless")[0].ClientID
	if err := s.reads(auth0.Config{ClientID: id, PrivateKey: first}); err != nil || len(s.secrets) != 0 {
		t.Errorf("with the first key: %v; %d secrets", err, len(s.secrets))
	}
	use(second)
	equal(t, "plan", s.plan(), "change Auth0 application dev/gapless public_key")
	for _, match := range []string{"POST /api/v2/clients/{id}/credentials", "PATCH *", "DELETE *"} { // every step may fail
		s.tenant.Faults().Add(emulator.Fault{Match: match, Kind: emulator.FaultAnswer, Status: http.StatusBadRequest, Body: "{}"})
		_ = s.apply()
	}
	s.must()
	keys, err := s.admin().Credentials(t.Context(), id)
	if err != nil || len(keys) != 1 {
		t.Errorf("credentials %+v, %v", keys, err)
	}
	if s.reads(auth0.Config{ClientID: id, PrivateKey: second}) != nil || s.reads(auth0.Config{ClientID: id, PrivateKey: first}) == nil {
		t.Error("the new key does not work, or the old one does")
	}
	s.cfg = loaded(t, dev)
	equal(t, "plan", s.plan(), "change Auth0 application dev/gapless public_key")
	s.must()
	secret, err := s.admin().ApplicationSecret(t.Context(), id)
	if err != nil || s.reads(auth0.Config{ClientID: id, ClientSecret: secret.Reveal()}) != nil {
		t.Errorf("the secret does not work: %v", err)
	}
}

// hook takes what log streams push.
type hook struct {
	mu     sync.Mutex
	tokens map[string]bool // the values of Authorization
	events []string
	paths  map[string]bool
}

func newHook() *hook { return &hook{tokens: map[string]bool{}, paths: map[string]bool{}} }

// RoundTrip implements http.RoundTripper.
func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens[r.Header.Get("Authorization")], h.paths[r.URL.String()] = true, true
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, `{"log_id":"x`) { // not what setup does itself
			h.events = append(h.events, line)
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// A log stream to the webhook pushes with the token of the configuration, what its
// categories name and with what is personal hidden.
func TestALogStreamToTheWebhook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHook()
		s := newSite(t, dev, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: &http.Client{Transport: h}}})
		s.options.Push = stack.PushWebhook
		s.must()
		event := func(n int, code string) {
			if err := s.tenant.Append([]byte(fmt.Sprintf(`{"log_id":"x%d","type":%q,"date":"2026-11-27T05:00:00.000Z","details":{"email":"a@example.com"}}`, n, code))); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second) // within the bubble: the stream gathers for a second
			synctest.Wait()
		}
		event(1, "fp")
		h.mu.Lock()
		if !h.tokens["webhook-token-1"] || len(h.tokens) != 1 || !h.paths["https://gapless.example.com/v1/tenants/dev/logs"] {
			t.Errorf("authorizations %v to %v", h.tokens, h.paths)
		}
		if !strings.Contains(strings.Join(h.events, ""), "a@example.com") {
			t.Errorf("events %q", h.events)
		}
		h.events, h.tokens = nil, map[string]bool{}
		h.mu.Unlock()

		s.options.Categories, s.options.PIIFields = []string{"auth.login.fail"}, []string{"email"}
		s.options.Reveal = func(config.Secret) (string, error) { return "webhook-token-2", nil }
		e, st := s.engine()
		p, err := e.Plan(t.Context(), st)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "plan", lines(p), "keep Auth0 application dev/gapless",
			"change Auth0 log stream dev/gapless authorization categories[auth.login.fail] pii_fields[email] pii_method")
		if shown := fmt.Sprintf("%+v", p.Steps[1].Differences); strings.Contains(shown, "webhook-token") {
			t.Errorf("the plan shows the token: %s", shown)
		}
		s.must()
		event(2, "fp")
		event(3, "s")
		h.mu.Lock()
		if len(h.events) != 1 || !strings.Contains(h.events[0], `"email":"*****"`) || !h.tokens["webhook-token-2"] || len(h.tokens) != 1 {
			t.Errorf("events %q with %v", h.events, h.tokens)
		}
		h.mu.Unlock()
		s.options.PIIFields = nil
		s.must()
		// Without the token what is there stays.
		s.options.Reveal = nil
		s.must()
		if streams := s.streams(); streams[0].Authorization.Reveal() != "webhook-token-2" {
			t.Error("the authorization is gone")
		}
		equal(t, "removal", s.destroy(), "remove Auth0 log stream dev/gapless", "remove Auth0 application dev/gapless")
		if n := len(s.streams()); n != 0 {
			t.Errorf("%d log streams", n)
		}
	})
}

// What stands in the way is told with what to do.
func TestWhatAuth0RefusesIsExplained(t *testing.T) {
	t.Parallel()
	other := `{"name":"other","type":"http","sink":{"httpEndpoint":"https://other.example.com"}}`
	s := newSite(t, dev, tenant.Options{Streams: tenant.StreamOptions{Max: 1}})
	s.options.Push = stack.PushWebhook
	id, err := s.tenant.CreateLogStream([]byte(other))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := errors.AsType[*auth0.Error](s.apply())
	if !ok || e.Kind != auth0.Conflict || !strings.Contains(e.Hint, "remove one that is not needed") {
		t.Errorf("at the limit: %v, hint %q", e, e.Hint)
	}
	if err := s.admin().DeleteLogStream(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.must()

	for _, scope := range []string{"create:clients", "create:client_grants", "read:log_streams", "create:log_streams"} {
		scopes := slices.DeleteFunc(auth0.SetupScopes(true, true), func(s string) bool { return s == scope })
		s := newSite(t, dev, tenant.Options{}, scopes...)
		s.options.Push = stack.PushWebhook
		e, ok := errors.AsType[*auth0.Error](s.apply())
		if !ok || e.Kind != auth0.Forbidden || !strings.Contains(e.Hint, "add the scope "+scope) {
			t.Errorf("without %s: %v", scope, e)
		}
	}

	s.login = provision.Auth0Login{}
	if err := s.apply(); !errors.Is(err, provision.ErrNoAuth0Login) {
		t.Errorf("without a login: %v", err)
	}
	s.login = provision.Auth0Login{Token: "void"}
	if e, ok := errors.AsType[*auth0.Error](s.apply()); !ok || e.Kind != auth0.Unauthorized {
		t.Errorf("with a void token: %v", e)
	}
}

// The rate limit of the smallest plan is waited for, and not reached.
func TestTheRateLimitIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, dev, tenant.Options{Plan: tenant.Free, Faults: emulator.NewFaults(emulator.Fault{Match: "POST *", After: 1, Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "3"}})})
		s.options.Push = stack.PushWebhook
		if err := s.apply(); err != nil {
			t.Fatal(err)
		}
		for _, raw := range s.tenant.Events() {
			if gjson.GetBytes(raw, "type").String() == "api_limit" {
				t.Error("the limit was reached")
			}
		}
	})
}

// States and namesakes are noted, and a stream of another type is nobody's business.
func TestOddLogStreamsAreNoted(t *testing.T) {
	t.Parallel()
	s := newSite(t, dev, tenant.Options{})
	s.options.Push, s.options.Parts = stack.PushWebhook, []string{stack.PartAuth0}
	s.must()
	m := s.admin()
	if err := m.SetLogStreamStatus(t.Context(), s.streams()[0], auth0.StreamPaused); err != nil {
		t.Fatal(err)
	}
	if _, err := m.CreateLogStream(t.Context(), auth0.LogStream{Name: "gapless", Type: "eventbridge", AWSAccount: "123456789012", AWSRegion: "eu-central-1"}); err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(s.plan(), "\n")
	if !strings.Contains(plan, "keep Auth0 log stream dev/gapless (it is paused") {
		t.Errorf("plan\n%s", plan)
	}
	s.destroy()
	if left := s.streams(); len(left) != 1 || left[0].Type != "eventbridge" {
		t.Errorf("streams %+v", left)
	}
	if plan := s.plan(); !strings.Contains(plan[1], "there is another log stream of the name, lst_0000000000000002 of the type eventbridge") {
		t.Errorf("plan %q", plan)
	}
}
