package app

import (
	"testing"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
)

// TestHasInsights tells AWS's own endpoints from others: those pretend to know Logs
// Insights and leave commands out.
func TestHasInsights(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]bool{
		"": true,
		"https://vpce-0a1b.logs.eu-central-1.vpce.amazonaws.com": true,
		"https://logs.cn-north-1.amazonaws.com.cn":               true,
		"https://logs.us-east-1.api.aws":                         true,
		"http://127.0.0.1:4566":                                  false,
		"http://localstack:4566":                                 false,
		"https://amazonaws.com.example.com":                      false,
		"https://notamazonaws.com":                               false,
	} {
		if got := (&Place{config: cloudwatch.Config{Endpoint: endpoint}}).HasInsights(); got != want {
			t.Errorf("%q: %t, want %t", endpoint, got, want)
		}
	}
}
