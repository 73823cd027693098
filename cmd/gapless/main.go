// Command gapless carries the event log of an Auth0 tenant into Amazon
// CloudWatch Logs: every event, once.
package main

import (
	"context"
	"os"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// version is set by the linker (-X main.version=v1.2.3) in released binaries.
var version string

func main() {
	env := cli.OS()
	env.Version = version
	os.Exit(cli.Main(context.Background(), os.Args[1:], env))
}
