package tenant_test

import (
	"encoding/json"
	"fmt"
	"io"
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

// A log stream pushes what enters the log to a webhook, and every event once more
// because of a fault.
func ExampleServer_CreateLogStream() {
	got := make(chan string, 2)
	webhook := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			got <- r.Header.Get("Authorization") + " " + string(body)
		}
	})
	server, err := tenant.New(tenant.Options{Streams: tenant.StreamOptions{
		HTTPClient: &http.Client{Transport: emulator.Transport(webhook)}, // without it, over the network
		Interval:   time.Millisecond,
		Faults:     tenant.PushFaults{Duplicates: 1},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	_, err = server.CreateLogStream([]byte(`{"type":"http","sink":{
		"httpEndpoint":"https://gapless.example.com/hook","httpAuthorization":"token"}}`))
	if err == nil {
		err = server.Append([]byte(`{"log_id":"1","type":"s","_id":"1"}`))
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(<-got, <-got)
	// Output:
	// token {"log_id":"1","data":{"log_id":"1","type":"s"}}
	// token {"log_id":"1","data":{"log_id":"1","type":"s"}}
}
