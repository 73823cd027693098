package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Watch is a metric that counts events of a tenant, and the alarm on it.
type Watch struct {
	// Slug ends the names of the metric filter and of the alarm.
	Slug string
	// Metric is the name of the metric in the tenant's namespace.
	Metric string
	// Counts says in words what is counted: a plural.
	Counts string
	// Pattern is the filter pattern.
	Pattern string
	// Threshold is how many of them within Period raise the alarm; 0 for no alarm.
	Threshold int
	// Period is a multiple of a minute.
	Period time.Duration
	// Why says why threshold and period are what they are; empty without an alarm.
	Why string
	// Query is the title of the saved query to open then.
	Query string
}

// dashboardChannel is how the record of an API operation names the Dashboard.
const dashboardChannel = `$.details.request.channel = "https://manage.auth0.com/*"`

// Watches returns the metrics in the order of the guide.
//
// The thresholds are for a tenant of some thousand users. They are above what people do
// by mistake and below what an attack is for; a larger tenant raises those that a quiet
// week would set off, see Options.Thresholds.
func Watches() []Watch {
	return slices.Concat(loginWatches(), adminWatches(), systemWatches())
}

func loginWatches() []Watch {
	return []Watch{
		{Slug: "logins", Metric: "Logins", Counts: "logins", Pattern: anyType(codesLogin()...), Query: "New addresses"},
		{
			"logins-failed", "LoginsFailed", "failed logins", anyType(codesLoginFailed()...), 100, 5 * time.Minute,
			"people mistype a few a minute; a list of stolen passwords is tried at tens a second", "Logins failed by address",
		},
		{
			"accounts-blocked", "AccountsBlocked", "accounts blocked by brute-force protection", anyType(codesAccountBlocked()...), 5, 15 * time.Minute,
			"one is somebody who forgot a password; five at a time are one cause", "Accounts and addresses blocked",
		},
		{
			"addresses-blocked", "AddressesBlocked", "addresses blocked for trying many accounts", anyType(codesAddressBlocked()...), 1, 5 * time.Minute,
			"Auth0 blocks an address after many failures only, so one is an attack, or a proxy of many users that must be let through", "One address, many users",
		},
		{
			"logins-at-risk", "LoginsAtRisk", "logins that Auth0's risk assessment trusts least, such as from a new device or a country too far away",
			"{ (" + isType(codesLogin()...) + `) && ($.details.riskAssessment.confidence = "low") }`, 5, time.Hour,
			"a filter cannot remember countries, and this assessment does; some users travel, five an hour is more than that", "New countries",
		},
		{
			"mfa-refused", "MFARefused", "second factors refused", anyType(codesMFARefused()...), 10, 15 * time.Minute,
			"a wrong code now and then is normal; a row of refused pushes is somebody who knows the password", "MFA refused",
		},
		{
			"password-changes", "PasswordChanges", "passwords changed", anyType("scp"), 20, 15 * time.Minute,
			"users change passwords one by one; many at once are a reset by an administrator, or by an attacker", "Password changes",
		},
		{
			"breached-passwords", "BreachedPasswords", "attempts with a password known from a breach", anyType(codesBreached()...), 10, time.Hour,
			"Auth0 writes one an hour and address, so ten are ten addresses", "Breached passwords",
		},
		{
			"signups", "SignUps", "sign-ups", anyType(codesSignup()...), 100, 15 * time.Minute,
			"more than that is a campaign, which is known beforehand, or bots", "Sign-ups by address",
		},
	}
}

func adminWatches() []Watch {
	return []Watch{
		{Slug: "admin-changes", Metric: "AdminChanges", Counts: "changes through the Management API and in the Dashboard", Pattern: anyType(codesAdmin()...), Query: "Admin changes"},
		{
			"dashboard-changes", "DashboardChanges", "changes by hand in the Dashboard",
			`{ (($.type = "sapi") && (` + dashboardChannel + `)) || ($.type = "gd_tenant_update") }`, 1, 5 * time.Minute,
			"few people may do it, and each time somebody should know that it was one of them", "Admin changes in the Dashboard",
		},
		{
			"secrets-read", "SecretsRead", "reads of secrets through the Management API", anyType("mgmt_api_read"), 20, 15 * time.Minute,
			"a page of the Dashboard reads one or two; going through all applications reads as many as there are", "Secrets read",
		},
	}
}

func systemWatches() []Watch {
	return []Watch{
		{
			"tokens", "Tokens", "access tokens issued", anyType(codesToken()...), 10000, time.Hour,
			"a token lasts a day by default and a login takes one; ten thousand an hour is software that asks for one at each call", "Tokens by client",
		},
		{
			"tokens-refused", "TokensRefused", "access tokens refused", anyType(codesTokenRefused()...), 50, 5 * time.Minute,
			"sessions that ended make a few; a secret that was changed on one side makes one at each try", "Tokens refused by client",
		},
		{
			"rate-limits", "RateLimits", "calls refused by a rate limit of Auth0", anyType(codesRateLimited()...), 1, 5 * time.Minute,
			"users or integrations get errors from the first one on", "Rate limits",
		},
		{
			Slug: "rate-limit-warnings", Metric: "RateLimitWarnings", Counts: "warnings that a limit is near", Pattern: anyType(codesRateWarned()...),
			Query: "Rate limits",
		},
		{
			"extensions-failed", "ExtensionsFailed", "failures of Actions, Hooks, Flows and Forms", anyType(codesExtension()...), 5, 5 * time.Minute,
			"one may be a time-out; five within five minutes are a login that is broken for everybody who meets that code", "Actions and hooks failed",
		},
		{
			"messages-unsent", "MessagesUnsent", "mails, texts and pushes that were not sent", anyType(codesUnsent()...), 10, 15 * time.Minute,
			"some addresses do not exist; ten in a quarter of an hour are the provider", "Messages not sent",
		},
	}
}

// isType is the condition that an event has one of the codes.
func isType(codes ...string) string {
	return `($.type = "` + strings.Join(codes, `") || ($.type = "`) + `")`
}

// anyType is the filter pattern for events of some codes.
func anyType(codes ...string) string { return "{ " + isType(codes...) + " }" }

// threshold returns that of the alarm, 0 for none.
func (w Watch) threshold(o Options) int {
	if n, ok := o.Thresholds[w.Slug]; ok {
		return n
	}
	return w.Threshold
}

// checkThresholds finds thresholds that are of no alarm.
func checkThresholds(o Options) error {
	for _, slug := range slices.Sorted(maps.Keys(o.Thresholds)) {
		var known []string
		for _, w := range Watches() {
			if w.Threshold > 0 {
				known = append(known, w.Slug)
			}
		}
		if !slices.Contains(known, slug) {
			return fmt.Errorf("setup.alarm_thresholds: there is no alarm %q; there are %s", slug, strings.Join(known, ", "))
		}
		if o.Thresholds[slug] < 0 {
			return fmt.Errorf("setup.alarm_thresholds: that of %s is less than 0; 0 leaves the alarm out", slug)
		}
	}
	return nil
}
