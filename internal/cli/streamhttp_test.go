package cli_test

import (
	"testing"

	"github.com/gaplesslogs/gapless/internal/cli"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// Only --stream-http lets a log stream push to plain HTTP, and to loopback alone.
func TestStreamHTTPTakesLoopback(t *testing.T) {
	t.Parallel()
	for _, flag := range []bool{false, true} {
		for endpoint, loopback := range map[string]bool{
			"http://127.0.0.1:1/hook": true, "http://[::1]:1/": true, "http://localhost:1/": true,
			"http://192.0.2.1/": false, "http://example.com/": false,
		} {
			err := cli.StagedTenant(flag, func(s *tenant.Server) {
				_, err := s.CreateLogStream([]byte(`{"type":"http","sink":{"httpEndpoint":"` + endpoint + `"}}`))
				if (err == nil) != (flag && loopback) {
					t.Errorf("--stream-http=%v, %s: %v", flag, endpoint, err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
