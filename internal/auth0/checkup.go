package auth0

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/checkup"
)

// Examine says what a Checkup looks for besides.
type Examine struct {
	// Retention is for how long Auth0 is configured to keep the log.
	Retention time.Duration
	// WebhookPath is the path of the tenant's webhook, and Tokens what is taken there;
	// empty when the tenant has none.
	WebhookPath string
	Tokens      []string
	// PartnerSource is the partner event source whose events come by a queue, and
	// Queue says that there is a queue.
	PartnerSource string
	Queue         bool
	// Proxy is the rule by which the HTTP client chooses a proxy; nil takes that of
	// the environment when the client is its own.
	Proxy func(*http.Request) (*url.URL, error)
	// LookupEnv reads the environment.
	LookupEnv func(string) (string, bool)
}

// A Checkup looks at all that a Client needs, for `gapless doctor`. It asks for one
// token at the most, and reads one event and the list of log streams. Its checks are
// for one run, in their order.
type Checkup struct {
	client *Client
	want   Examine

	arrival  checkup.Arrival
	token    string
	kept     bool // the token is one of the running gapless
	scopes   []string
	known    bool // the scopes are known
	answer   Answer
	limit    int
	left     int
	window   time.Duration
	endpoint []string
}

// NewCheckup makes a Checkup of a client. The client's TokenCache should keep
// nothing: what is cached may be used, and no other process's be replaced.
func NewCheckup(c *Client, want Examine) *Checkup {
	if t, ok := c.http.Transport.(*http.Transport); ok && want.Proxy == nil {
		want.Proxy = t.Proxy
	}
	return &Checkup{client: c, want: want}
}

// Checks returns the checks in their order.
func (k *Checkup) Checks() []checkup.Check {
	return []checkup.Check{
		{Name: "auth0_reach", Run: k.Reach},
		{Name: "auth0_clock", Needs: []string{"auth0_reach"}, Run: k.Clock},
		{Name: "auth0_token", Needs: []string{"auth0_reach", "auth0_clock"}, Run: k.Token},
		{Name: "auth0_scopes", Needs: []string{"auth0_token"}, Run: k.Scopes},
		{Name: "auth0_logs", Needs: []string{"auth0_token", "auth0_scopes"}, Run: k.Logs},
		{Name: "auth0_rate", Needs: []string{"auth0_logs"}, Run: k.Rate},
		{Name: "auth0_retention", Needs: []string{"auth0_logs"}, Run: k.Retention},
		{Name: "auth0_streams", Needs: []string{"auth0_token"}, Run: k.Streams},
	}
}

// Reach goes the way to the tenant.
func (k *Checkup) Reach(ctx context.Context) []checkup.Finding {
	f, a := checkup.Reach(ctx, checkup.Route{
		Whose: "Auth0", URL: k.client.base.JoinPath("/.well-known/openid-configuration").String(),
		Client: noRedirect{k.client.http}, Proxy: k.want.Proxy, Setting: "domain", CAVariable: "SSL_CERT_FILE", LookupEnv: k.want.LookupEnv,
	})
	k.arrival = a
	return checkup.One(f)
}

// noRedirect takes a redirect for an answer.
type noRedirect struct{ of *http.Client }

// Do sends a request.
func (n noRedirect) Do(r *http.Request) (*http.Response, error) {
	c := *n.of
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c.Do(r) //nolint:gosec // to the configured tenant
}

// assertionMost is the longest that Auth0 lets an assertion live ("Authenticate with
// Private Key JWT").
const assertionMost = 5 * time.Minute

// Clock compares the clocks. An assertion of private_key_jwt is valid for a minute by
// Auth0's clock and may not be valid for more than five.
func (k *Checkup) Clock(context.Context) []checkup.Finding {
	var b checkup.Bound
	if k.client.creds.Load().privateKey != "" {
		b = checkup.Bound{
			Behind: assertionLife, Ahead: assertionMost - assertionLife,
			Breaks: "Auth0 refuses the assertions of private_key_jwt, the first of each token",
		}
	}
	return checkup.One(checkup.Clock("Auth0", k.arrival.Offset, k.arrival.Dated, b))
}

// Token takes the token that is kept, or asks for one. Each that is asked for makes an
// event in the tenant's log.
func (k *Checkup) Token(ctx context.Context) []checkup.Finding {
	if f, bad := k.secretForm(); bad {
		return checkup.One(f)
	}
	if v := k.client.vault(); v != nil {
		if t, err := v.load(ctx); err == nil && t.valid(time.Now()) {
			k.kept = true
		}
	}
	var err error
	if k.token, err = k.client.tokens.get(ctx); err != nil {
		return checkup.One(k.tokenRefused(ctx, err))
	}
	k.scopes, k.known = scopesOf(k.token)
	if k.kept {
		return checkup.One(checkup.Passed("the token that gapless keeps in the data directory is still good; none was asked for"))
	}
	return checkup.One(checkup.Passed("Auth0 gives a token to %s (this leaves one event of it in the tenant's log)", k.client.cfg.ClientID))
}

// secretForm finds what no secret or id of Auth0 has, before anybody is asked.
func (k *Checkup) secretForm() (checkup.Finding, bool) {
	id, secret := k.client.cfg.ClientID, k.client.creds.Load().secret
	space := func(s string) bool { return strings.IndexFunc(s, unicode.IsSpace) >= 0 }
	switch {
	case secret != "" && space(secret):
		return checkup.Failed(checkup.Configuration, "Write client_secret anew, without what was copied along: printf %s SECRET > FILE.", "client_secret holds white space, which no secret of Auth0 does"), true
	case len(secret) > 1 && strings.ContainsAny(secret[:1], `"'`) && secret[0] == secret[len(secret)-1]:
		return checkup.Failed(checkup.Configuration, "Write client_secret without the quotation marks: the files of docker run --env-file take them for a part of the value.", "client_secret is in quotation marks, which no secret of Auth0 is"), true
	case space(id):
		return checkup.Failed(checkup.Configuration, "Write client_id anew, without what was copied along.", "client_id holds white space, which none of Auth0 does"), true
	case secret != "" && secret == id:
		return checkup.Failed(checkup.Configuration, "Copy Client Secret from the settings of the application.", "client_secret is the client_id"), true
	}
	return checkup.Finding{}, false
}

// tokenRefused tells apart why there is no token. The texts of Auth0 are not
// documented: where none is known, both halves of the credentials are named.
func (k *Checkup) tokenRefused(ctx context.Context, err error) checkup.Finding {
	c, host := k.client.cfg, k.client.base.Host
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return late(ctx, "Auth0 gave no token", err)
	}
	app := fmt.Sprintf("Auth0 Dashboard of %s, Applications, the application %s", host, c.ClientID)
	text := strings.ToLower(e.Code + " " + e.Message)
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch {
	case e.Kind == Throttled:
		return checkup.Failed("", fmt.Sprintf("Wait for %s and try again.", e.RetryAfter.Round(time.Second)), "Auth0 gives no token now: too many requests")
	case has("service not enabled", "no audience", "unknown audience"):
		return checkup.Failed(checkup.Configuration, "Set audience to https://TENANT.REGION.auth0.com/api/v2/: the canonical domain, with the slash at the end; with a custom domain it must be written.",
			"the audience %s is not that of the tenant's Management API", c.Audience)
	case has("grant type"):
		return checkup.Failed(checkup.Authorization, app+", Settings, Advanced Settings, Grant Types: tick Client Credentials. The application must be of the type Machine to Machine.",
			"the application may not use the grant client_credentials")
	case has("client-grant", "not authorized to access"):
		return checkup.Failed(checkup.Authorization, app+", tab APIs: authorize it for the Auth0 Management API, with the permission read:logs.",
			"the application is not granted the Management API")
	case has("unknown client", "client not found", "invalid client id"):
		return checkup.Failed(checkup.Configuration, "Correct client_id: copy it from the application in the Auth0 Dashboard of "+host+".",
			"there is no application with the client_id %s in this tenant", c.ClientID)
	case e.Kind == Unauthorized && k.client.creds.Load().privateKey != "":
		return checkup.Failed(checkup.Authorization, app+", tab Credentials: it must use Private Key JWT with the public key of private_key, and the same algorithm ("+orRS256(c.SigningAlg)+"); private_key_id, if set, is the key ID shown there.",
			"Auth0 refuses the assertion signed with private_key")
	case e.Kind == Unauthorized:
		return checkup.Failed(checkup.Authorization, app+": compare client_id, and copy Client Secret anew into what client_secret names. The application must be of this tenant.",
			"Auth0 refuses client_id with client_secret: one of the two is wrong (%s)", describe(e))
	case e.Kind == Misconfigured:
		return checkup.Failed(checkup.Configuration, "Correct domain: the one in the settings of the application, such as dev-tenant.us.auth0.com.", "%s does not answer like an Auth0 tenant (status %d)", host, e.Status)
	case e.Kind == Forbidden:
		return checkup.Failed(checkup.Authorization, app+", tab APIs: authorize it for the Auth0 Management API, with the permission read:logs.", "Auth0 gives the application no token for %s (%s)", c.Audience, describe(e))
	default:
		return checkup.Failed("", k.whoAnswers(e), "no token: %s", e.Error())
	}
}

// whoAnswers says what to do about an answer that is no refusal: it is not Auth0's, or
// Auth0 is not well.
func (k *Checkup) whoAnswers(e *Error) string {
	if e.Status == 0 || e.Status >= http.StatusInternalServerError {
		return "Try again; if it lasts, look at https://status.auth0.com."
	}
	return "See who answers there: curl -i " + k.client.base.String() + ". A page in HTML, or a redirect, is of a proxy or a portal: have it let this machine through to " + k.client.base.Host + ". Or correct domain."
}

func orRS256(alg string) string {
	if alg == "" {
		return "RS256"
	}
	return alg
}

// describe is what an answer said.
func describe(e *Error) string {
	return strings.TrimSuffix(fmt.Sprintf("status %d %s: %s", e.Status, e.Code, e.Message), ": ")
}

// late makes a finding of an error that is none of Auth0's: the time is over, mostly.
func late(ctx context.Context, what string, err error) checkup.Finding {
	if ctx.Err() != nil {
		return checkup.Failed("", "Try again with a longer --timeout.", "%s in time", what)
	}
	return checkup.Failed("", "Try again.", "%s: %s", what, oneLine(err.Error()))
}

// scopesOf reads the scopes of an access token, which is a JWT of the Management API.
// It is not verified: that is for the API to do.
func scopesOf(token string) (scopes []string, known bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, false
	}
	var claims struct {
		Scope *string `json:"scope"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return nil, false
	}
	if claims.Scope == nil { // a token without any has no such claim
		return nil, true
	}
	return strings.Fields(*claims.Scope), true
}

// scopeStreams lets log streams be looked at; their settings hold secrets in clear.
const scopeStreams = "read:log_streams"

// Scopes compares what the application may do with what gapless needs: read:logs, or
// read:logs_users in its place.
func (k *Checkup) Scopes(context.Context) []checkup.Finding {
	if !k.known {
		return checkup.One(checkup.Warned("Look into the Auth0 Dashboard: the application should be granted read:logs of the Management API alone.", "the token is none that says what it may do"))
	}
	where := fmt.Sprintf("Auth0 Dashboard of %s, Applications, APIs, Auth0 Management API, Machine to Machine Applications, %s", k.client.base.Host, k.client.cfg.ClientID)
	if !slices.Contains(k.scopes, "read:logs") && !slices.Contains(k.scopes, "read:logs_users") {
		granted := "it has none"
		if len(k.scopes) > 0 {
			granted = "it has " + list(k.scopes)
		}
		fix := where + ": tick read:logs, and Update."
		if k.kept {
			fix += " If that is done: the token that is kept is older; gapless gets another within ten minutes or so of its start."
		}
		return checkup.One(checkup.Failed(checkup.Authorization, fix, "the application lacks the permission read:logs; %s", granted))
	}
	extra := slices.DeleteFunc(slices.Clone(k.scopes), func(s string) bool {
		return s == "read:logs" || s == "read:logs_users" || s == scopeStreams && k.pushed()
	})
	if len(extra) > 0 {
		return checkup.One(checkup.Warned(where+": untick "+list(extra)+", and Update. The next token is without them.",
			"the application may do more than it needs: %s", list(extra)))
	}
	return checkup.One(checkup.Passed("the application may do what it needs: %s", list(k.scopes)))
}

// pushed reports whether somebody pushes the tenant's events.
func (k *Checkup) pushed() bool { return k.want.WebhookPath != "" || k.want.Queue }

// list writes names for a person; of many the first.
func list(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return oneLine(strings.Join(names, ", "))
}

// Logs reads the oldest event that Auth0 keeps, and nothing else.
func (k *Checkup) Logs(ctx context.Context) []checkup.Finding {
	q := url.Values{"page": {"0"}, "per_page": {"1"}, "sort": {"date:1"}}
	ans, err := k.client.fetchOnce(ctx, k.client.ops.search, q, k.token)
	if e, ok := errors.AsType[*Error](err); ok && k.kept && (e.Kind == Unauthorized || e.Kind == Forbidden) && k.client.tokens.refused(k.token) {
		// What is kept is void, or older than a grant: gapless would get another too.
		if k.token, err = k.client.tokens.get(ctx); err == nil {
			k.scopes, k.known = scopesOf(k.token)
			ans, err = k.client.fetchOnce(ctx, k.client.ops.search, q, k.token)
		}
	}
	if err != nil {
		return checkup.One(k.logsRefused(ctx, err))
	}
	k.answer = ans
	k.limit, k.left = k.client.limiter.figures()
	k.window = k.client.limiter.ends().Sub(ans.Received)
	return checkup.One(checkup.Passed("the log can be read"))
}

// logsRefused says why the log cannot be read.
func (k *Checkup) logsRefused(ctx context.Context, err error) checkup.Finding {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return late(ctx, "the log could not be read", err)
	case e.Kind == Throttled:
		return checkup.Failed("", fmt.Sprintf("Wait for %s and try again; find out who else uses the Management API of this tenant (events api_limit in its log).", e.RetryAfter.Round(time.Second)),
			"the rate limit of the Management API is used up, by others: status 429")
	case e.Kind == Unauthorized:
		return checkup.Failed(checkup.Authorization, "Check audience: it must be that of this tenant's Management API, and domain and audience of the same tenant.", "the Management API refuses the token (%s)", describe(e))
	case e.Kind == Forbidden:
		return checkup.Failed(checkup.Authorization, e.Hint, "the log may not be read (%s)", describe(e))
	case e.Kind == Misconfigured:
		return checkup.Failed(checkup.Configuration, e.Hint, "the host has no log (status %d)", e.Status)
	default:
		return checkup.Failed("", k.whoAnswers(e), "%s", e.Error())
	}
}

// Rate tells what is left of the rate limit, and what plan it looks like.
func (k *Checkup) Rate(context.Context) []checkup.Finding {
	if k.limit == 0 {
		return checkup.One(checkup.Skipped("the answer tells of no rate limit"))
	}
	words := fmt.Sprintf("%d of %d calls are left, of which gapless takes %d at most; that looks like %s", k.left, k.limit, k.client.limiter.budget(), k.plan())
	if k.left < max(1, k.limit/5) {
		return checkup.One(checkup.Warned("Find out who else uses the Management API of this tenant (events api_limit in its log); gapless itself takes rate_share of it.", "%s", words))
	}
	return checkup.One(checkup.Passed("%s", words))
}

// plan guesses the plan from the limit (Auth0 docs: rate limit policy and
// configurations).
func (k *Checkup) plan() string {
	switch {
	case k.limit <= 2:
		return "the free plan (2 calls a second)"
	case k.limit == 10 && k.window > 2*time.Second:
		return "Essentials or Professional (100 reads of the log a minute)"
	case k.limit == 10:
		return "Essentials or Professional (100 reads of the log a minute), or Enterprise that is not for production (2 calls a second)"
	case k.limit == 50:
		return "Enterprise (16 calls a second, 50 at once)"
	default:
		return "no public plan that is known: a private cloud, or a limit of its own"
	}
}

// retentionSlack is how much longer than documented an event may be kept.
const retentionSlack = 2 * time.Hour

// retentions are those of Auth0's plans, the shortest first (Auth0 docs: log data
// retention).
var retentions = []struct {
	name string
	kept time.Duration
}{{"starter", 24 * time.Hour}, {"essentials", 5 * 24 * time.Hour}, {"professional", 10 * 24 * time.Hour}, {"enterprise", 30 * 24 * time.Hour}}

// Retention compares auth0_retention with the age of the oldest event. An age tells
// for how long events are kept at the least, and little else.
func (k *Checkup) Retention(context.Context) []checkup.Finding {
	if len(k.answer.Page.Events) == 0 {
		return checkup.One(checkup.Skipped("the log is empty, so nothing tells for how long Auth0 keeps it"))
	}
	age, want := k.answer.ServerTime.Sub(k.answer.Page.Events[0].Date), k.want.Retention
	if age > want+retentionSlack {
		name := "a value that is long enough"
		if i := slices.IndexFunc(retentions, func(r struct {
			name string
			kept time.Duration
		},
		) bool {
			return age <= r.kept+retentionSlack
		}); i >= 0 {
			name = retentions[i].name
		}
		return checkup.One(checkup.Warned("Set auth0_retention: "+name+".", "the oldest event is %s old, and auth0_retention says %s: gapless warns of gaps earlier than it must", span(age), span(want)))
	}
	for _, r := range retentions {
		if r.kept < want && age > r.kept*9/10 && age < r.kept+retentionSlack {
			return checkup.One(checkup.Warned("Set auth0_retention: "+r.name+", unless the tenant is just that old: a value that is too long hides a gap.",
				"the oldest event is %s old, which looks like the plan %s, and auth0_retention says %s", span(age), r.name, span(want)))
		}
	}
	return checkup.One(checkup.Passed("the oldest event is %s old, which fits auth0_retention (%s)", span(age), span(want)))
}

// span writes a duration in days or hours.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.3g days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	default:
		return d.Round(time.Minute).String()
	}
}
