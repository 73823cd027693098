package tenant_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A client gets a token and reads the first page of the log.
func Example() {
	server, err := tenant.New(tenant.Options{ClientID: "app", ClientSecret: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	now := time.Now()
	if err := server.Generate(1000, now.Add(-time.Hour), now); err != nil {
		fmt.Println(err)
		return
	}

	client := &http.Client{Transport: emulator.Transport(server)} // or http.Serve(listener, server)
	resp, err := client.PostForm("http://127.0.0.1:4010/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"},
		"audience": {"http://127.0.0.1:4010/api/v2/"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("token for", token.ExpiresIn, "seconds;", server.Len(), "events")
	// Output: token for 86400 seconds; 1001 events
}
