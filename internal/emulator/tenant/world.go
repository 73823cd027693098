package tenant

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// world is the cast of a tenant: its users, applications, connections and the
// browsers and addresses that they come from. Nothing in it is anybody's.
type world struct {
	tenant, domain, environment string

	users       []user
	usersBy     map[string][]*user // by the kind of their connection
	apps        []application      // people sign in to these
	services    []application      // these act on their own
	connections []connection
	orgs        []organization
}

type user struct {
	hex, id, email, name string
	connection           int
}

type application struct {
	id, name, audience, scope string
}

type connection struct {
	name, id, strategy, kind string
}

type organization struct {
	id, name string
}

type browser struct {
	parsed, raw string
	mobile      bool
}

// The kinds of connections, as in "strategy_type".
const (
	kindDatabase     = "database"
	kindSocial       = "social"
	kindEnterprise   = "enterprise"
	kindPasswordless = "passwordless"
)

// The sizes of the cast.
const (
	worldUsers = 400
	worldOrgs  = 6
)

func newWorld(rng *rand.Rand, tenant, domain string) *world {
	w := &world{tenant: tenant, domain: domain, environment: "prod-us-1", usersBy: make(map[string][]*user)}
	for _, c := range []connection{
		{name: "Username-Password-Authentication", strategy: "auth0", kind: kindDatabase},
		{name: "google-oauth2", strategy: "google-oauth2", kind: kindSocial},
		{name: "example-saml", strategy: "samlp", kind: kindEnterprise},
		{name: "email", strategy: "email", kind: kindPasswordless},
	} {
		c.id = "con_" + randomText(rng, 16)
		w.connections = append(w.connections, c)
	}
	for _, name := range []string{"Storefront", "Mobile App", "Admin Console", "Partner Portal", "Default App"} {
		w.apps = append(w.apps, application{
			id: randomText(rng, 32), name: name,
			audience: "https://api.example.com", scope: "openid profile email offline_access",
		})
	}
	for _, name := range []string{"Nightly Sync", "Billing Worker", "Deployment Pipeline"} {
		w.services = append(w.services, application{
			id: randomText(rng, 32), name: name,
			audience: "https://" + domain + "/api/v2/", scope: "read:users update:users read:clients read:logs",
		})
	}
	for i := range worldOrgs {
		w.orgs = append(w.orgs, organization{id: "org_" + randomText(rng, 16), name: fmt.Sprintf("organization-%02d", i+1)})
	}
	for i := range worldUsers {
		w.users = append(w.users, newUser(rng, i, w.connections))
	}
	for i := range w.users {
		u := &w.users[i]
		kind := w.connections[u.connection].kind
		w.usersBy[kind] = append(w.usersBy[kind], u)
	}
	return w
}

// newUser makes the i-th user; most sign in with a password, every thirteenth
// has a name that is not ASCII.
func newUser(rng *rand.Rand, i int, connections []connection) user {
	number := fmt.Sprintf("%04d", i+1)
	u := user{hex: randomHex(rng, 24), email: "user" + number + "@example.com", name: "User " + number}
	if i%3 == 0 {
		u.email = "user" + number + "@example.org"
	}
	if i%13 == 0 {
		u.name = []string{"Käyttäjä ", "ユーザー ", "Пользователь ", "Usuário "}[rng.IntN(4)] + number
	}
	switch n := rng.IntN(100); {
	case n < 70:
		u.connection = 0
	case n < 85:
		u.connection = 1
	default:
		u.connection = 2
	}
	if i%25 == 0 { // by count, so that each world has some
		u.connection = 3
	}
	u.id = connections[u.connection].strategy + "|" + u.hex
	return u
}

// browsers are what people use; the last one stands for software.
var browsers = []browser{
	{parsed: "Chrome 142.0.0 / Windows 10.0.0", raw: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
	{parsed: "Chrome 142.0.0 / Mac OS X 10.15.7", raw: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
	{parsed: "Firefox 145.0.0 / Linux 0.0.0", raw: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
	{parsed: "Safari 26.0.0 / Mac OS X 10.15.7", raw: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15"},
	{parsed: "Mobile Safari 26.0.0 / iOS 18.6.0", raw: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1", mobile: true},
	{parsed: "Chrome Mobile 142.0.0 / Android 10.0.0", raw: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", mobile: true},
	{parsed: "Other 0.0.0 / Other 0.0.0", raw: "Go-http-client/2.0"},
}

// address returns an IP of the ranges that are set aside for documentation.
func address(rng *rand.Rand) string {
	if rng.IntN(8) == 0 {
		return "2001:db8:" + strconv.FormatUint(rng.Uint64N(0xffff)+1, 16) + "::" + strconv.FormatUint(rng.Uint64N(0xffff)+1, 16)
	}
	net := [...]string{"192.0.2.", "198.51.100.", "203.0.113."}[rng.IntN(3)]
	return net + strconv.Itoa(rng.IntN(254)+1)
}

const (
	textAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzQx"
	hexAlphabet  = "0123456789abcdef"
)

func randomText(rng *rand.Rand, n int) string { return string(appendText(nil, rng, n)) }

func randomHex(rng *rand.Rand, n int) string { return string(appendHex(nil, rng, n)) }

// appendText appends n letters and digits.
func appendText(dst []byte, rng *rand.Rand, n int) []byte {
	return appendRandom(dst, rng, n, textAlphabet, 6)
}

// appendHex appends n hexadecimal digits.
func appendHex(dst []byte, rng *rand.Rand, n int) []byte {
	return appendRandom(dst, rng, n, hexAlphabet, 4)
}

// appendRandom appends n characters of an alphabet of 1<<bits.
func appendRandom(dst []byte, rng *rand.Rand, n int, alphabet string, bits int) []byte {
	var word uint64
	left := 0
	for range n {
		if left < bits {
			word, left = rng.Uint64(), 64
		}
		dst = append(dst, alphabet[word&(1<<bits-1)])
		word >>= bits
		left -= bits
	}
	return dst
}
