package tenant_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// admin are the options of a tenant with a second application that may manage others.
func admin(opts tenant.Options) tenant.Options {
	opts.Applications = []tenant.Application{{Name: "Setup", ClientID: "admin", ClientSecret: "admin-secret", Scopes: tenant.SetupScopes()}}
	return opts
}

// tokenFor asks for a token by a secret, or by an assertion if key is not nil.
func tokenFor(t *testing.T, s *tenant.Server, id, secret string, key *rsa.PrivateKey) answer {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "audience": {audience}}
	if key == nil {
		form.Set("client_secret", secret)
	} else {
		signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": id, "sub": id, "aud": "https://dev-tenant.us.auth0.com/", "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text(),
		}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", signed)
	}
	return newClient(t, s).form(form)
}

// loginAs returns a client with the token of an application.
func loginAs(t *testing.T, s *tenant.Server, id, secret string, key *rsa.PrivateKey) *client {
	t.Helper()
	c := newClient(t, s)
	a := tokenFor(t, s, id, secret, key)
	if a.status != http.StatusOK {
		t.Fatalf("no token for %s: %s", id, a.text())
	}
	c.token = gjson.GetBytes(a.body, "access_token").String()
	return c
}

// object sends a body that is made of v, and returns the answer.
func (c *client) send(method, path string, v any) answer {
	c.t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.request(method, path, "application/json", string(body))
}

// want checks the status of an answer and returns its body.
func (a answer) want(t *testing.T, status int) gjson.Result {
	t.Helper()
	if a.status != status {
		t.Fatalf("answer %d, want %d: %s", a.status, status, a.body)
	}
	return gjson.ParseBytes(a.body)
}

type object = map[string]any

// pair makes an RSA key, and the PEM of its public half.
func pair(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// An application gets a token once it has a grant, with what the grant says and no
// more, and loses it with the grant.
func TestAGrantDecidesWhatAnApplicationMayDo(t *testing.T) {
	t.Parallel()
	s := start(t, admin(tenant.Options{}))
	c := loginAs(t, s, "admin", "admin-secret", nil)
	app := c.send("POST", "/api/v2/clients", object{
		"name": "gapless", "app_type": "non_interactive", "grant_types": []string{"client_credentials"}, "client_metadata": object{"gapless:setup": "gapless"},
	}).want(t, http.StatusCreated)
	id, secret := app.Get("client_id").String(), app.Get("client_secret").String()
	if len(id) != 32 || len(secret) != 64 || app.Get("token_endpoint_auth_method").String() != "client_secret_post" {
		t.Errorf("application %s", app.Raw)
	}
	refused := tokenFor(t, s, id, secret, nil)
	if refused.status != http.StatusForbidden || !strings.Contains(refused.text(), `You need to create a \"client-grant\"`) {
		t.Errorf("without a grant: %s", refused.text())
	}
	grant := c.send("POST", "/api/v2/client-grants", object{"client_id": id, "audience": audience, "scope": []string{"read:logs"}}).want(t, http.StatusCreated)
	again := c.send("POST", "/api/v2/client-grants", object{"client_id": id, "audience": audience, "scope": []string{}})
	if want := `Conflict {"statusCode":409,"error":"Conflict","message":"A client grant already exists between ` + id + ` and ` + audience + `"}`; again.text() != want {
		t.Errorf("a second grant: %s", again.text())
	}
	own := loginAs(t, s, id, secret, nil)
	own.get("/api/v2/logs").want(t, http.StatusOK)
	for _, path := range []string{"/api/v2/log-streams", "/api/v2/clients", "/api/v2/client-grants"} {
		own.get(path).want(t, http.StatusForbidden)
	}
	c.send("PATCH", "/api/v2/client-grants/"+grant.Get("id").String(), object{"scope": []string{"read:log_streams"}}).want(t, http.StatusOK)
	own.get("/api/v2/logs").want(t, http.StatusOK) // the token stays what it was
	other := loginAs(t, s, id, secret, nil)
	other.get("/api/v2/logs").want(t, http.StatusForbidden)
	other.get("/api/v2/log-streams").want(t, http.StatusOK)
	c.request("DELETE", "/api/v2/client-grants/"+grant.Get("id").String(), "", "").want(t, http.StatusNoContent)
	tokenFor(t, s, id, secret, nil).want(t, http.StatusForbidden)
	c.request("DELETE", "/api/v2/clients/"+id, "", "").want(t, http.StatusNoContent)
	tokenFor(t, s, id, secret, nil).want(t, http.StatusUnauthorized)
	c.get("/api/v2/clients/"+id).want(t, http.StatusNotFound)
}

func TestAnApplicationSignsWithTheCredentialsInUse(t *testing.T) {
	t.Parallel()
	s := start(t, admin(tenant.Options{}))
	c := loginAs(t, s, "admin", "admin-secret", nil)
	first, firstPEM := pair(t)
	second, secondPEM := pair(t)
	app := c.send("POST", "/api/v2/clients", object{
		"name": "gapless", "jwt_configuration": object{"alg": "RS256"},
		"client_authentication_methods": object{"private_key_jwt": object{"credentials": []object{{"credential_type": "public_key", "name": "one", "pem": firstPEM}}}},
	}).want(t, http.StatusCreated)
	id := app.Get("client_id").String()
	c.send("POST", "/api/v2/client-grants", object{"client_id": id, "audience": audience, "scope": []string{"read:logs"}}).want(t, http.StatusCreated)
	loginAs(t, s, id, "", first)
	tokenFor(t, s, id, app.Get("client_secret").String(), nil).want(t, http.StatusUnauthorized)
	added := c.send("POST", "/api/v2/clients/"+id+"/credentials", object{"credential_type": "public_key", "name": "two", "pem": secondPEM}).want(t, http.StatusCreated)
	tokenFor(t, s, id, "", second).want(t, http.StatusUnauthorized) // made, and not in use yet
	use := func(ids ...string) object {
		list := []object{}
		for _, id := range ids {
			list = append(list, object{"id": id})
		}
		return object{"client_authentication_methods": object{"private_key_jwt": object{"credentials": list}}}
	}
	c.send("PATCH", "/api/v2/clients/"+id, use(added.Get("id").String())).want(t, http.StatusOK)
	loginAs(t, s, id, "", second)
	tokenFor(t, s, id, "", first).want(t, http.StatusUnauthorized)
	list := c.get("/api/v2/clients/"+id+"/credentials").want(t, http.StatusOK)
	if names := list.Get("#.name").String(); names != `["one","two"]` {
		t.Errorf("credentials %s", list.Raw)
	}
	c.request("DELETE", "/api/v2/clients/"+id+"/credentials/"+list.Get("0.id").String(), "", "").want(t, http.StatusNoContent)
	c.send("PATCH", "/api/v2/clients/"+id, use(list.Get("0.id").String())).want(t, http.StatusNotFound)
	c.send("PATCH", "/api/v2/clients/"+id, object{"token_endpoint_auth_method": "client_secret_post"}).want(t, http.StatusBadRequest)
	c.send("PATCH", "/api/v2/clients/"+id, object{"token_endpoint_auth_method": "client_secret_post", "client_authentication_methods": nil}).want(t, http.StatusOK)
	loginAs(t, s, id, app.Get("client_secret").String(), nil)
}

// The thumbprint that a recorded answer of Auth0 has for this key.
func TestTheKIDOfACredentialIsTheThumbprintOfItsKey(t *testing.T) {
	t.Parallel()
	const recorded = "-----BEGIN PUBLIC KEY-----\nMIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA3njxXJoHnuN4hByBhSUo\n0kIbXkJTA0wP0fig87MyVz5KgohPrPJgbRSZ7yz/MmXa4qRNHkWiClJybMS2a98M\n6ELOFG8pfDb6J7JaJqx0Kvqn6xsGInbpwsth3K582Cxrp+Y+GBNja++8wDY5IqAi\nTSKSZRNies0GO0grzQ7kj2p0+R7a0c86mdLO4JnGrHoBqEY1HcsfnJvkJkqETlGi\nyMzDQw8Wkux7P59N/3wuroAI83+HMYl1fV39ek3L/GrsLjECrNe5/CVFtblNltyb\n/va9+pAP7Ye5p6tTW2oj3fzUvdX3dYzENWEtRB7DBHXnfEHMjTaBiQeWb2yDHBCw\n++Uh1OCKw9ZLYzoE6gcDQspYf+fFU3F0kuU4c//gSoNuj/iEjaNmOEK6S3xGy8fE\nTjsC+0oF6YaokDZO9+NreL/sGxFfOAysybrKWrMoaYwa81RlpcmBGZM7H1M00zLH\nPPfCYVhGhFs5X3Qzzt6MQE+msgMt9zeGH7liJbOSW2NGSJwbmn7q35YYIfJEoXRF\n1iefT/9fJB9vhQhtYfCOe3AEpTQq6Yz5ViLhToBdsVDBbz2gmRLALs9/D91SE9T4\nXzvXjHGyxWVu0jdvS9hyhJzP4165k1cYDgx8mmg0VxR7j79LmCUDsFcvvSrAOf6y\n0zY7r4pmNyQQ0r4in/gs/wkCAwEAAQ==\n-----END PUBLIC KEY-----"
	c := loginAs(t, start(t, admin(tenant.Options{})), "admin", "admin-secret", nil)
	app := c.send("POST", "/api/v2/clients", object{
		"name":                          "gapless",
		"client_authentication_methods": object{"private_key_jwt": object{"credentials": []object{{"credential_type": "public_key", "pem": recorded}}}},
	}).want(t, http.StatusCreated)
	if kid := app.Get("client_authentication_methods.private_key_jwt.credentials.0.kid").String(); kid != "QTtPEeOT2gWWuID0QDg6nHgh7foYRcWkOyJ9DhNIn_A" {
		t.Errorf("kid %q", kid)
	}
}

// Secrets are shown to who may read keys, and lists come in pages.
func TestListsOfApplications(t *testing.T) {
	t.Parallel()
	opts := admin(tenant.Options{})
	opts.Applications = append(opts.Applications, tenant.Application{Name: "Reader", ClientID: "reader", ClientSecret: "x", Scopes: []string{"read:clients", "create:clients"}})
	s := start(t, opts)
	c := loginAs(t, s, "admin", "admin-secret", nil)
	if secret := c.get("/api/v2/clients/admin").want(t, 200).Get("client_secret").String(); secret != "admin-secret" {
		t.Errorf("secret %q", secret)
	}
	reader := loginAs(t, s, "reader", "x", nil)
	if got := reader.get("/api/v2/clients/admin").want(t, 200); got.Get("client_secret").Exists() || got.Get("name").String() != "Setup" {
		t.Errorf("without read:client_keys: %s", got.Raw)
	}
	_, text := pair(t)
	reader.send("POST", "/api/v2/clients", object{
		"name":                          "gapless",
		"client_authentication_methods": object{"private_key_jwt": object{"credentials": []object{{"credential_type": "public_key", "pem": text}}}},
	}).want(t, http.StatusForbidden)
	for query, want := range map[string]string{
		"?fields=client_id&per_page=2":                       `[{"client_id":"admin"}]`,
		"?fields=name&page=1&per_page=2&include_totals=true": `{"clients":[{"name":"Reader"}],"limit":2,"start":2,"total":3}`,
		"?page=7&include_totals=true":                        `{"clients":[],"limit":50,"start":350,"total":3}`,
		"?is_global=true":                                    `[]`,
	} {
		got := c.get("/api/v2/clients"+query).want(t, 200).Raw
		if query == "?fields=client_id&per_page=2" {
			got = "[" + got[strings.LastIndex(got, "{"):]
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	c.get("/api/v2/clients?per_page=101").want(t, http.StatusBadRequest)
	if got := c.get("/api/v2/client-grants?client_id=reader&audience="+url.QueryEscape(audience)).want(t, 200); got.Get("#.scope").String() != `[["read:clients","create:clients"]]` {
		t.Errorf("grants %s", got.Raw)
	}
}

func TestBodiesOfApplicationsAreValidated(t *testing.T) {
	t.Parallel()
	c := loginAs(t, start(t, admin(tenant.Options{})), "admin", "admin-secret", nil)
	many := object{}
	for k := range strings.SplitSeq("abcdefghijk", "") {
		many[k] = "v"
	}
	for want, body := range map[string]object{
		"Missing required property: name":         {},
		"Additional properties not allowed":       {"name": "a", "nam": "b"},
		"String does not match pattern":           {"name": "a", "client_metadata": object{"ä": "b"}},
		"Too many properties defined (11)":        {"name": "a", "client_metadata": many},
		"of 255 characters at most":               {"name": "a", "client_metadata": object{"a": strings.Repeat("b", 256)}},
		"No enum match for: magic":                {"name": "a", "app_type": "magic"},
		"No enum match for: secret":               {"name": "a", "token_endpoint_auth_method": "secret"},
		"mutually exclusive":                      {"name": "a", "token_endpoint_auth_method": "none", "client_authentication_methods": object{}},
		"private_key_jwt.credentials":             {"name": "a", "client_authentication_methods": object{}},
		"no RSA public key in PEM":                {"name": "a", "client_authentication_methods": object{"private_key_jwt": object{"credentials": []object{{"credential_type": "public_key", "pem": "x"}}}}},
		"No enum match for: x509_cert":            {"name": "a", "client_authentication_methods": object{"private_key_jwt": object{"credentials": []object{{"credential_type": "x509_cert"}}}}},
		"Expected type string but found type boo": {"name": true},
	} {
		if got := c.send("POST", "/api/v2/clients", body).want(t, http.StatusBadRequest); !strings.Contains(got.Get("message").String(), want) {
			t.Errorf("%v: %s, want %s", body, got.Raw, want)
		}
	}
	c.send("POST", "/api/v2/client-grants", object{"client_id": "nobody", "audience": audience, "scope": []string{}}).want(t, http.StatusNotFound)
	c.send("POST", "/api/v2/client-grants", object{"client_id": "admin", "audience": "https://other/", "scope": []string{}}).want(t, http.StatusNotFound)
	c.send("POST", "/api/v2/client-grants", object{"client_id": "admin", "audience": audience}).want(t, http.StatusBadRequest)
	app := c.send("POST", "/api/v2/clients", object{"name": "a", "client_metadata": object{"a": "1", "b": "2"}}).want(t, http.StatusCreated)
	changed := c.send("PATCH", "/api/v2/clients/"+app.Get("client_id").String(), object{"client_metadata": object{"a": nil, "c": "3"}}).want(t, 200)
	if got := changed.Get("client_metadata").Raw; got != `{"b":"2","c":"3"}` {
		t.Errorf("metadata %s", got)
	}
}

// What was done is in the log, without secrets.
func TestChangesOfApplicationsAreEvents(t *testing.T) {
	t.Parallel()
	s := start(t, admin(tenant.Options{}))
	c := loginAs(t, s, "admin", "admin-secret", nil)
	app := c.send("POST", "/api/v2/clients", object{"name": "gapless"}).want(t, http.StatusCreated)
	id, secret := app.Get("client_id").String(), app.Get("client_secret").String()
	c.send("POST", "/api/v2/client-grants", object{"client_id": id, "audience": audience, "scope": []string{"read:logs"}}).want(t, http.StatusCreated)
	c.request("DELETE", "/api/v2/clients/"+id, "", "").want(t, http.StatusNoContent)
	var done []string
	for _, text := range texts(s) {
		if strings.Contains(text, secret) {
			t.Errorf("an event shows the secret: %s", text)
		}
		if gjson.Get(text, "type").String() == "sapi" {
			done = append(done, gjson.Get(text, "client_id").String()+" "+gjson.Get(text, "description").String())
		}
	}
	if want := []string{"admin Create a client", "admin Create client grant", "admin Delete a client"}; !slices.Equal(done, want) {
		t.Errorf("events %q", done)
	}
}

func TestApplicationsOutliveARestart(t *testing.T) {
	t.Parallel()
	opts := admin(tenant.Options{DataDir: t.TempDir()})
	s, err := tenant.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	c := loginAs(t, s, "admin", "admin-secret", nil)
	key, text := pair(t)
	make1 := func(name string, more object) string {
		more["name"] = name
		id := c.send("POST", "/api/v2/clients", more).want(t, http.StatusCreated).Get("client_id").String()
		c.send("POST", "/api/v2/client-grants", object{"client_id": id, "audience": audience, "scope": []string{"read:logs"}}).want(t, http.StatusCreated)
		return id
	}
	kept := make1("kept", object{"client_authentication_methods": object{"private_key_jwt": object{"credentials": []object{{"credential_type": "public_key", "pem": text}}}}})
	gone := make1("gone", object{})
	bare := make1("bare", object{})
	c.request("DELETE", "/api/v2/clients/"+gone, "", "").want(t, http.StatusNoContent)
	grant := c.get("/api/v2/client-grants?client_id="+bare).want(t, 200).Get("0.id").String()
	c.request("DELETE", "/api/v2/client-grants/"+grant, "", "").want(t, http.StatusNoContent)
	before := c.get("/api/v2/clients").want(t, 200).Raw
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.send("POST", "/api/v2/clients", object{"name": "late"}).want(t, http.StatusInternalServerError)
	s = start(t, opts)
	c = loginAs(t, s, "admin", "admin-secret", nil)
	if diff := gocmp.Diff(before, c.get("/api/v2/clients").want(t, 200).Raw); diff != "" {
		t.Errorf("applications (-before +after):\n%s", diff)
	}
	loginAs(t, s, kept, "", key)
	if got := c.get("/api/v2/client-grants").want(t, 200); got.Get("#").Int() != 3 {
		t.Errorf("grants %s", got.Raw)
	}
}
