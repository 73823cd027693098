package auth0_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

// A client reads a log from an hour ago to its end. The last event is that of
// the client's own token.
func ExampleClient_Logs() {
	server, err := tenant.New(tenant.Options{ClientID: "app", ClientSecret: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	now := time.Now()
	if err := server.Generate(250, now.Add(-time.Hour), now); err != nil {
		fmt.Println(err)
		return
	}

	client, err := auth0.New(
		auth0.Config{Domain: "dev-tenant.us.auth0.com", ClientID: "app", ClientSecret: "secret"},
		auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(server)}}, // or none, to use the network
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	for from := event.IDAt(now.Add(-2 * time.Hour)); ; {
		answer, err := client.Logs(context.Background(), from, auth0.MaxTake)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(answer.Page.Events), "events")
		if len(answer.Page.Events) == 0 {
			return
		}
		from = answer.Next
	}
	// Output:
	// 100 events
	// 100 events
	// 51 events
	// 0 events
}
