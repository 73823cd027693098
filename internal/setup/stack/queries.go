package stack

import (
	"slices"
	"strings"
)

// A SavedQuery is a query of Logs Insights that is saved for each tenant.
type SavedQuery struct {
	// Title is its name within the tenant's folder.
	Title string
	// When says in a sentence when a person wants it.
	When string
	// Text is the query.
	Text string
}

// SavedQueries returns the saved queries in the order of the guide.
//
// The message that they look at is the record of Auth0, see ADR 6; Logs Insights names
// what is in it by path. Times are shown by the record's own date, as functions of
// statistics return @timestamp in milliseconds.
func SavedQueries() []SavedQuery {
	return slices.Concat(loginQueries(), attackQueries(), factorQueries(), adminQueries(), tokenQueries(), incidentQueries(), systemQueries())
}

// typeIn begins a query that is about some event codes.
func typeIn(codes ...string) string { return `filter type in ["` + strings.Join(codes, `", "`) + `"]` }

// query makes the text of a query from its commands.
func query(commands ...string) string { return strings.Join(commands, "\n| ") }

// newest are the last two commands of a list of events.
const newest = "sort @timestamp desc\n| limit 1000"

func loginQueries() []SavedQuery {
	failed := typeIn(codesLoginFailed()...)
	return []SavedQuery{
		{
			"Logins failed by user", "Somebody cannot log in, or many cannot: whose logins fail, and from how many addresses?",
			query(failed,
				"stats count(*) as failed, count_distinct(ip) as addresses, latest(description) as last_reason, earliest(date) as first_seen, latest(date) as last_seen by user_name, user_id",
				"sort failed desc", "limit 1000"),
		},
		{
			"Logins failed by address", "Failed logins went up: do they come from one address, and for how many users?",
			query(failed,
				"stats count(*) as failed, count_distinct(user_name) as users, earliest(date) as first_seen, latest(date) as last_seen by ip",
				"sort failed desc", "limit 1000"),
		},
		{
			"Logins failed by application", "A release broke a login: which application and connection does it fail in, and why?",
			query(failed,
				"stats count(*) as failed, count_distinct(user_name) as users, latest(description) as last_reason, latest(date) as last_seen by client_name, client_id, connection, type",
				"sort failed desc", "limit 1000"),
		},
		{
			"New countries", "Has an account been taken over: which users logged in from a country that they had not logged in from before, in the time that is searched? Search a few weeks. Events without location_info are left out; if that is all of them, take New addresses.",
			query(typeIn(codesLogin()...)+" and ispresent(location_info.country_code)",
				"stats count(*) as logins, earliest(date) as first_login by user_id, location_info.country_code",
				"stats count(*) as countries, sum(logins) as all_logins, sortsLast(first_login) as newest_since by user_id",
				"filter countries > 1", "sort newest_since desc", "limit 1000"),
		},
		{
			"Countries of users", "Which country did a login come from first, and when? The newest pairs of a user and a country are on top. It needs location_info as New countries does.",
			query(typeIn(codesLogin()...)+" and ispresent(location_info.country_code)",
				"stats count(*) as logins, earliest(date) as first_login, latest(date) as last_login by user_id, location_info.country_code",
				"sort first_login desc", "limit 1000"),
		},
		{
			"New addresses", "Has an account been taken over, where events have no country: which address did a user log in from for the first time? The newest pairs of a user and an address are on top.",
			query(typeIn(codesLogin()...),
				"stats count(*) as logins, earliest(date) as first_login, latest(date) as last_login by user_id, user_name, ip",
				"sort first_login desc", "limit 1000"),
		},
		{
			"Logins at risk", "Which logins did Auth0's own risk assessment trust least, and why? Tenants without adaptive MFA have none.",
			query(typeIn(codesLogin()...)+` and details.riskAssessment.confidence = "low"`,
				"fields @timestamp, user_id, user_name, ip, client_name, details.riskAssessment.assessments.ImpossibleTravel.code, details.riskAssessment.assessments.NewDevice.code, details.riskAssessment.assessments.UntrustedIP.code, log_id",
				newest),
		},
	}
}

func attackQueries() []SavedQuery {
	failed := typeIn(codesLoginFailed()...)
	return []SavedQuery{
		{
			"Accounts and addresses blocked", "An account was locked out last night: when, from which address, and by which protection?",
			query(typeIn(slices.Concat(codesAccountBlocked(), codesAddressBlocked(), []string{"ublkdu"})...),
				"fields @timestamp, type, user_name, user_id, ip, connection, client_name, description, log_id", newest),
		},
		{
			"One address, many users", "Is somebody trying passwords: which address failed for ten users or more within an hour?",
			query(failed,
				"stats count(*) as failed, count_distinct(user_name) as users, latest(user_agent) as last_user_agent by ip, bin(1h)",
				"filter users >= 10", "sort users desc", "limit 1000"),
		},
		{
			"One user, many addresses", "Is one account the target: whose logins failed from five addresses or more within an hour?",
			query(failed,
				"stats count(*) as failed, count_distinct(ip) as addresses by user_name, bin(1h)",
				"filter addresses >= 5", "sort addresses desc", "limit 1000"),
		},
		{
			"Got in after failures", "Did the attack succeed: which user logged in after failing, with five attempts or more from that address?",
			query(typeIn(slices.Concat(codesLogin(), codesLoginFailed())...),
				"stats count(*) as attempts, earliest(type) as first_type, latest(type) as last_type, latest(date) as last_seen by user_name, ip",
				`filter attempts >= 5 and first_type like /^f/ and last_type like /^s/`, "sort last_seen desc", "limit 1000"),
		},
		{
			"Breached passwords", "Who uses a password that is known from a breach? Auth0 writes one such event an hour and address at most, so these are fewer than the attempts.",
			query(typeIn(codesBreached()...),
				"fields @timestamp, type, user_name, user_id, ip, client_name, description, log_id", newest),
		},
		{
			"Sign-ups by address", "Are bots signing up: how many accounts does each address make, or fail to make?",
			query(typeIn(slices.Concat(codesSignup(), codesSignupFailed())...),
				"stats count(*) as signups, count_distinct(user_name) as users, earliest(date) as first_seen, latest(date) as last_seen by ip, type",
				"sort signups desc", "limit 1000"),
		},
	}
}

func factorQueries() []SavedQuery {
	return []SavedQuery{
		{
			"MFA refused", "Is somebody sending push after push until the user gives in: whose second factor was refused, and how often?",
			query(typeIn(codesMFARefused()...),
				"stats count(*) as refused, count_distinct(ip) as addresses, latest(description) as last_reason, earliest(date) as first_seen, latest(date) as last_seen by user_id, user_name, type",
				"sort refused desc", "limit 1000"),
		},
		{
			"MFA changes", "Did somebody put a second factor of their own in the place of the user's: what was enrolled and removed, and from where?",
			query(typeIn(codesMFAChanged()...), "fields @timestamp, type, user_id, user_name, ip, description, log_id", newest),
		},
		{
			"Password changes", "A user says that it was not them: who asked for a new password, from where, and was it set?",
			query(typeIn(codesPassword()...), "fields @timestamp, type, user_name, user_id, ip, connection, client_name, description, log_id", newest),
		},
		{
			"Account changes", "What became of an account: e-mail address, name and phone number changed, deleted, invited, imported, unblocked?",
			query(typeIn(codesAccount()...), "fields @timestamp, type, user_name, user_id, ip, client_name, description, log_id", newest),
		},
	}
}

// requestMember finds a member of the request in the text of the message: of a token
// with many scopes Logs Insights discovers 200 fields, and the request is behind them.
func requestMember(name, as string) string {
	return `parse @message /"` + name + `":\s*"(?<` + as + `>[^"]+)"/`
}

func adminQueries() []SavedQuery {
	return []SavedQuery{
		{
			"Admin changes", "Something in the tenant is not as it was: who changed what, in the Dashboard and through the Management API?",
			query(typeIn(codesAdmin()...), requestMember("method", "seen_method"), requestMember("path", "seen_path"),
				"fields @timestamp, type, description, coalesce(details.request.method, seen_method) as method, coalesce(details.request.path, seen_path) as path, details.response.statusCode, user_id, details.request.auth.user.email, client_id, ip, log_id",
				newest),
		},
		{
			"Admin changes in the Dashboard", "Who has been working in the Dashboard by hand, from which address, and how much?",
			query(`filter type = "sapi" and details.request.channel like "manage.auth0.com"`,
				"stats count(*) as changes, latest(description) as last_change, earliest(date) as first_seen, latest(date) as last_seen by user_id, details.request.auth.user.email, ip",
				"sort changes desc", "limit 1000"),
		},
		{
			"Admin changes by application", "Which software changes the tenant through the Management API, and what does it do most?",
			query(typeIn("sapi", "fapi"),
				"stats count(*) as calls, count_distinct(ip) as addresses, latest(date) as last_seen by client_id, client_name, description, type",
				"sort calls desc", "limit 1000"),
		},
		{
			"Secrets read", "Which secrets were read through the Management API or the Dashboard, and by whom?",
			query(typeIn("mgmt_api_read"),
				"fields @timestamp, description, details.accessedSecrets.0, details.request.path, user_id, details.request.auth.user.email, client_id, ip, log_id",
				newest),
		},
	}
}

func tokenQueries() []SavedQuery {
	return []SavedQuery{
		{
			"Tokens by client", "Which application takes how many access tokens, by which grant? One that takes a token for each call costs quota, and fills the log.",
			query(typeIn(codesToken()...),
				"stats count(*) as tokens, count_distinct(ip) as addresses, latest(audience) as last_audience, latest(date) as last_seen by client_id, client_name, type",
				"sort tokens desc", "limit 1000"),
		},
		{
			"Tokens refused by client", "An integration stopped working: whose tokens are refused, and why?",
			query(typeIn(codesTokenRefused()...),
				"stats count(*) as refused, count_distinct(ip) as addresses, latest(description) as last_reason, latest(date) as last_seen by client_id, client_name, type",
				"sort refused desc", "limit 1000"),
		},
		{
			"Rate limits", "Calls get 429: which limit was reached, when, and by which application? Warnings come first, at 80% of a limit.",
			query(typeIn(slices.Concat(codesRateLimited(), codesRateWarned())...),
				"fields @timestamp, type, description, client_name, client_id, ip, log_id", newest),
		},
	}
}

func incidentQueries() []SavedQuery {
	return []SavedQuery{
		{
			"One user", "What did one user do, and what was done to them? Write the user ID and the user name into the query first.",
			query("# Write the user ID, the user name, and the part of the ID behind the bar here.\n"+
				`filter user_id = "auth0|0123456789abcdef" or user_name = "user@example.com" or details.request.path like "0123456789abcdef"`,
				"fields @timestamp, type, description, ip, client_name, connection, user_agent, details.request.method, details.request.path, log_id",
				"sort @timestamp asc", "limit 10000"),
		},
		{
			"One address", "What was done from one address, in whose name? Write the address into the query first.",
			query("# Write the address here.\n"+`filter ip = "203.0.113.7" or client_ip = "203.0.113.7" or details.request.ip = "203.0.113.7"`,
				"fields @timestamp, type, user_name, user_id, client_name, connection, user_agent, description, log_id",
				"sort @timestamp asc", "limit 10000"),
		},
		{
			"One application", "What happened in one application? Write its client ID into the query first.",
			query("# Write the client ID here.\n"+`filter client_id = "0123456789abcdef0123456789abcdef"`,
				"stats count(*) as events, count_distinct(user_id) as users, count_distinct(ip) as addresses, latest(description) as last_description, latest(date) as last_seen by type",
				"sort events desc", "limit 1000"),
		},
		{
			"Errors by type", "What fails, how often and for how many, by type? It finds types that are newer than this query too.",
			query(`filter type like /^f[a-z]*$|fail|error|denied|reject|exceed|pwd_leak|limit|too_many|^coff$/`,
				"stats count(*) as errors, count_distinct(user_id) as users, count_distinct(client_id) as applications, latest(details.error.message) as last_message, earliest(date) as first_seen, latest(date) as last_seen by type",
				"sort errors desc", "limit 1000"),
		},
		{
			"Types by first appearance", "What is new: which types of events appeared for the first time, in the time that is searched?",
			query("stats count(*) as events, earliest(date) as first_seen, latest(date) as last_seen, latest(description) as last_description by type",
				"sort first_seen desc", "limit 1000"),
		},
	}
}

func systemQueries() []SavedQuery {
	return []SavedQuery{
		{
			"Actions and hooks failed", "Logins stop half-way: which code of the tenant's own fails, and with what?",
			query(typeIn(codesExtension()...),
				"stats count(*) as failed, count_distinct(user_id) as users, latest(details.error.message) as last_message, latest(date) as last_seen by type, description, client_name",
				"sort failed desc", "limit 1000"),
		},
		{
			"Messages not sent", "Users wait for a mail or a code: which messages did Auth0 not get out, and why?",
			query(typeIn(codesUnsent()...),
				"fields @timestamp, type, description, details.error, details.error.message, user_id, connection, log_id", newest),
		},
		{
			"Exported twice", "Is the export right: does any event lie here more than once? There should be no row.",
			query("filter ispresent(log_id)",
				"stats count(*) as copies, count_distinct(@logStream) as streams, earliest(type) as event_type, earliest(date) as event_date by log_id",
				"filter copies > 1", "sort copies desc", "limit 1000"),
		},
		{
			"Delay of the export", "How long after they happened do events arrive here, in seconds?",
			query("fields (toMillis(@ingestionTime) - toMillis(@timestamp)) / 1000 as seconds",
				"stats count(*) as events, avg(seconds) as average, pct(seconds, 99) as slowest_hundredth, max(seconds) as slowest by bin(5m)"),
		},
		{
			"Events trimmed", "Which events were above 1 MiB, so that gapless had to leave out a part, and which part?",
			query("filter ispresent(gapless.trimmed.bytes)",
				"fields @timestamp, type, description, gapless.trimmed.bytes, gapless.trimmed.paths.0, log_id", newest),
		},
	}
}
