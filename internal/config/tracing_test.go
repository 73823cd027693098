package config_test

import (
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/config"
)

// TestTracing holds where traces may go.
func TestTracing(t *testing.T) {
	t.Parallel()
	secret, err := config.ParseSecret("a token")
	if err != nil {
		t.Fatal(err)
	}
	header := []config.TracingHeader{{Name: "Authorization", Value: secret}}
	for _, c := range []struct {
		tracing config.Tracing
		url     string
		bad     string // the path of the problem
	}{
		{tracing: config.Tracing{}},
		{tracing: config.Tracing{Endpoint: "http://collector:4318"}, url: "http://collector:4318/v1/traces"},
		{tracing: config.Tracing{Endpoint: "http://127.0.0.1:4318/", Headers: header}, url: "http://127.0.0.1:4318/v1/traces"},
		{tracing: config.Tracing{Endpoint: "https://otlp.example.com/api/traces?x=1", Headers: header}, url: "https://otlp.example.com/api/traces?x=1"},
		{tracing: config.Tracing{Endpoint: "http://collector:4318", Headers: header}, bad: "tracing.endpoint"},
		{tracing: config.Tracing{Endpoint: "grpc://collector:4317"}, bad: "tracing.endpoint"},
		{tracing: config.Tracing{Endpoint: "https://user:secret@otlp.example.com"}, bad: "tracing.endpoint"},
		{tracing: config.Tracing{Headers: []config.TracingHeader{{Name: "a b", Value: secret}}}, bad: "tracing.headers.0.name"},
		{tracing: config.Tracing{ServiceName: strings.Repeat("x", 256)}, bad: "tracing.service_name"},
		{tracing: config.Tracing{SampleRatio: 1.5}, bad: "tracing.sample_ratio"},
	} {
		cfg := config.Default()
		cfg.DataDir, cfg.AWS.Region = t.TempDir(), "us-east-1"
		tenant := config.NewTenant()
		tenant.Name, tenant.Domain, tenant.ClientID, tenant.ClientSecret = "dev", "dev.us.auth0.com", "a", secret
		cfg.Tenants = []config.Tenant{tenant}
		c.tracing.Timeout = cfg.Tracing.Timeout
		if c.tracing.ServiceName == "" {
			c.tracing.ServiceName = cfg.Tracing.ServiceName
		}
		cfg.Tracing = c.tracing
		err := cfg.Validate()
		switch {
		case c.bad == "" && (err != nil || cfg.Tracing.URL() != c.url):
			t.Errorf("%s: %v, %s", c.tracing.Endpoint, err, cfg.Tracing.URL())
		case c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "user:secret")):
			t.Errorf("%+v: %v, want a problem with %s", c.tracing.Endpoint, err, c.bad)
		}
	}
}
