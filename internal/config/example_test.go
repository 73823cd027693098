package config_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/config"
)

// Load merges the layers; what it returns is valid.
func ExampleLoad() {
	cfg, err := config.Load(context.Background(), config.LoadOptions{
		File: "gapless.yaml",
		ReadFile: func(string) ([]byte, error) {
			return []byte("data_dir: /var/lib/gapless\ntenants:\n  - name: dev-tenant\n    domain: dev-tenant.us.auth0.com\n"), nil
		},
		Environ: []string{"GAPLESS_TENANT_CLIENT_ID=abc", "GAPLESS_TENANT_CLIENT_SECRET=env:AUTH0_CLIENT_SECRET"},
		Sets:    []string{"tenants.0.poll_interval=5s"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	t := cfg.Tenants[0]
	fmt.Println(t.Name, t.ClientID, t.ClientSecret, t.PollInterval, t.CloudWatch.LogGroup)
	fmt.Println(cfg.Origin("tenants.0.poll_interval"), cfg.Origin("listen"))
	// Output:
	// dev-tenant abc env:AUTH0_CLIENT_SECRET 5s /auth0/{tenant}
	// --set tenants.0.poll_interval default
}

// Everything that is wrong is reported at once.
func ExampleLoad_problems() {
	_, err := config.Load(context.Background(), config.LoadOptions{
		File: "gapless.yaml",
		ReadFile: func(string) ([]byte, error) {
			return []byte("data_dir: /var/lib/gapless\nlisen: :8080\ndedup_window: 3 days\n"), nil
		},
	})
	if bad, ok := errors.AsType[*config.InvalidError](err); ok {
		for _, p := range bad.Problems {
			fmt.Println(p)
		}
	}
	// Output:
	// gapless.yaml:2:1: lisen is no known key
	// gapless.yaml:3:1: dedup_window "3..." is not a duration
	// tenants holds no tenant to export
}

// A secret prints as asterisks, a reference as itself.
func ExampleSecret() {
	value, _ := config.ParseSecret("hunter2")
	reference, _ := config.ParseSecret("env:AUTH0_CLIENT_SECRET")
	fmt.Println(value, reference)

	resolved, err := reference.Resolve(context.Background(), config.Resolver{
		LookupEnv: func(string) (string, bool) { return "hunter2", true },
	})
	fmt.Println(resolved == "hunter2", err)
	// Output:
	// ******** env:AUTH0_CLIENT_SECRET
	// true <nil>
}
