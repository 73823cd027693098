package config_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/config"
)

// printed returns what Print writes.
func printed(t *testing.T, cfg *config.Config, origin bool) string {
	t.Helper()
	var out strings.Builder
	if err := cfg.Print(&out, origin); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPrintWithOrigin(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, minimal, "GAPLESS_LISTEN=:0", "GAPLESS_TENANT_CLOUDWATCH_TAGS=a=1")
	got := printed(t, cfg, true)
	for _, want := range []string{
		"data_dir: /data  # g.yaml:1:1\n",
		"listen: \":0\"  # GAPLESS_LISTEN\n",
		"  level: info  # default\n",
		"  - name: dev  # g.yaml:3:5\n",
		"    client_secret: \"********\"  # g.yaml:6:5\n",
		"      tags:\n        a: \"1\"  # GAPLESS_TENANT_CLOUDWATCH_TAGS\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in:\n%s", want, got)
		}
	}
}

// TestPrintedCanBeRead prints arbitrary texts and reads them again.
func TestPrintedCanBeRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := config.Default()
		cfg.DataDir = rapid.StringN(1, 20, -1).Draw(rt, "data_dir")
		tenant := config.NewTenant()
		tenant.Name, tenant.Domain = "dev", "dev.example.com"
		tenant.ClientID = rapid.StringN(1, 20, -1).Draw(rt, "client_id")
		tenant.PrivateKeyID = rapid.SampledFrom([]string{"", "~", "null", "1e3", "0x1", "a: b", "#", "- a", "yes", "a\nb", "'", "\"", "{", "*x", "&x", "!x", "2026-01-01", "é", "\u2028", "\U0001F600"}).Draw(rt, "key_id")
		tenant.ClientSecret, _ = config.ParseSecret("env:X")
		cfg.Tenants = []config.Tenant{tenant}
		var out strings.Builder
		if err := cfg.Print(&out, false); err != nil {
			rt.Fatal(err)
		}
		again, err := config.Load(t.Context(), config.LoadOptions{File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": out.String()})})
		if err != nil {
			rt.Fatalf("load: %v\n%s", err, out.String())
		}
		if d := cmp.Diff(cfg, again, equal); d != "" {
			rt.Fatalf("(-want +got):\n%s\n%s", d, out.String())
		}
	})
}

func TestJSONHasTheKeysOfTheFile(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, minimal, "GAPLESS_TENANT_CLOUDWATCH_TAGS=a=1,b=2")
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "s3cr3t") {
		t.Error("the secret was printed")
	}
	again := mustLoad(t, strings.ReplaceAll(string(b), config.Redacted, "s3cr3t")) // JSON is YAML
	if d := cmp.Diff(cfg, again, equal); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTagsCanBeRead(t *testing.T) {
	t.Parallel()
	if bad := config.UnreadableTags(); len(bad) > 0 {
		t.Errorf("unreadable: %q", bad)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	b, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("dialect %v", s["$schema"])
	}
	properties, _ := s["properties"].(map[string]any)
	tenants, _ := properties["tenants"].(map[string]any)
	items, _ := tenants["items"].(map[string]any)
	got, _ := items["required"].([]any)
	if d := cmp.Diff([]any{"name"}, got); d != "" {
		t.Errorf("required (-want +got):\n%s", d)
	}
	fields, _ := items["properties"].(map[string]any)
	share, _ := fields["rate_share"].(map[string]any)
	if share["default"] != 0.5 || share["minimum"] != 0.01 || share["maximum"] != 1.0 || share["type"] != "number" || share["description"] == "" {
		t.Errorf("rate_share: %v", share)
	}
	alg, _ := fields["private_key_alg"].(map[string]any)
	if choices, _ := alg["enum"].([]any); !slices.Contains(choices, any("PS256")) {
		t.Errorf("private_key_alg: %v", alg)
	}
	if n := strings.Count(string(b), `"description"`); n < len(config.EnvNames()) {
		t.Errorf("%d descriptions for %d settings", n, len(config.EnvNames()))
	}
}

func TestDefaultDataDir(t *testing.T) {
	t.Parallel()
	home := map[string]string{"HOME": "/home/u"}
	for _, c := range []struct {
		goos string
		root bool
		env  map[string]string
		want string
	}{
		{"linux", true, home, "/var/lib/gapless"},
		{"linux", false, home, "/home/u/.local/state/gapless"},
		{"linux", false, map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/state"}, "/state/gapless"},
		{"linux", true, map[string]string{"STATE_DIRECTORY": "/var/lib/g:/var/lib/h"}, "/var/lib/g"},
		{"linux", false, nil, ""},
		{"darwin", false, home, "/home/u/Library/Application Support/gapless"},
		{"windows", false, map[string]string{"LOCALAPPDATA": "/local"}, "/local/gapless"},
		{"windows", false, nil, ""},
	} {
		if got := config.DefaultDataDir(c.goos, c.root, c.env); got != c.want {
			t.Errorf("%s, root %v, %v: got %q, want %q", c.goos, c.root, c.env, got, c.want)
		}
	}
}
