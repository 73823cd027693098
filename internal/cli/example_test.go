package cli_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// A whole command runs in process; nothing of the machine is touched but what
// Env holds.
func ExampleMain() {
	env := cli.Env{
		Stdin:  strings.NewReader(""),
		Stdout: os.Stdout,
		Stderr: os.Stdout,
		Environ: []string{
			"GAPLESS_DATA_DIR=/var/lib/gapless",
			"GAPLESS_TENANT_NAME=dev-tenant",
			"GAPLESS_TENANT_DOMAIN=dev-tenant.us.auth0.com",
			"GAPLESS_TENANT_CLIENT_ID=abc",
			"GAPLESS_TENANT_CLIENT_SECRET=env:AUTH0_CLIENT_SECRET",
			"AUTH0_CLIENT_SECRET=secret",
			"GAPLESS_AWS_REGION=eu-central-1",
		},
	}
	code := cli.Main(context.Background(), []string{"config", "check"}, env)
	fmt.Println("exit code", code)
	// Output:
	// OK: 1 tenant
	//   dev-tenant: dev-tenant.us.auth0.com -> /auth0/dev-tenant, stream logs, in eu-central-1
	// exit code 0
}
