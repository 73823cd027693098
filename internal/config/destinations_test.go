package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

// withDestinations is a configuration with the given lines below destinations.
func withDestinations(lines ...string) string {
	return minimal + "    destinations:\n      " + strings.Join(lines, "\n      ") + "\n"
}

func TestDestinationProblems(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		lines      []string
		path, want string
	}{
		"no name":         {[]string{"- log_group: /a"}, "tenants.0.destinations.0.name", "is missing"},
		"bad name":        {[]string{"- name: A b", "  log_group: /a"}, "tenants.0.destinations.0.name", "is not a name"},
		"dots":            {[]string{"- name: '..'", "  log_group: /a"}, "tenants.0.destinations.0.name", "is not a name"},
		"name of main":    {[]string{"- name: cloudwatch", "  log_group: /a"}, "tenants.0.destinations.0.name", "main destination"},
		"twice":           {[]string{"- name: a", "  log_group: /a", "- name: a", "  log_group: /b"}, "tenants.0.destinations.1.name", `is "a", like that of tenants.0.destinations.0`},
		"place of main":   {[]string{"- name: a"}, "tenants.0.destinations.0.log_group", `are those of "cloudwatch"`},
		"same place":      {[]string{"- name: a", "  region: us-west-1", "- name: b", "  region: us-west-1", "  log_group: /auth0/dev"}, "tenants.0.destinations.1.log_group", `are those of "a"`},
		"group":           {[]string{"- name: a", "  log_group: 'x y'"}, "tenants.0.destinations.0.log_group", "characters"},
		"filter":          {[]string{"- name: a", "  log_group: /a", "  filter: {severities: [bad]}"}, "tenants.0.destinations.0.filter.severities.allow", "no severity"},
		"expression":      {[]string{"- name: a", "  log_group: /a", "  filter: {expression: event.type ==}"}, "tenants.0.destinations.0.filter.expression", "is no valid expression"},
		"redact":          {[]string{"- name: a", "  log_group: /a", "  redact: {presets: [all]}"}, "tenants.0.destinations.0.redact.presets", "no preset"},
		"when_full":       {[]string{"- name: a", "  log_group: /a", "  when_full: drop"}, "tenants.0.destinations.0.when_full", "not a value it can take"},
		"shape":           {[]string{"- name: a", "  log_group: /a", "  fields: {x: nothing}"}, "tenants.0.destinations.0.fields.x", "not what a field can hold"},
		"unknown key":     {[]string{"- name: a", "  log_grop: /a"}, "tenants.0.destinations.0.log_grop", "is no known key"},
		"no overrides in": {[]string{"- name: a", "  cloudwatch: {log_group: /a}"}, "tenants.0.destinations.0.cloudwatch", "is no known key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, withDestinations(c.lines...))
			var problems *config.InvalidError
			if !errors.As(err, &problems) {
				t.Fatalf("load: error %v", err)
			}
			for _, p := range problems.Problems {
				if p.Path == c.path && strings.Contains(p.Problem, c.want) {
					return
				}
			}
			t.Errorf("problems: %v\nwant %s: %s", err, c.path, c.want)
		})
	}
}

func TestDestinationsAreRead(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, withDestinations(
		"- name: audit", "  region: us-west-1", "  linger: 1s", "  filter: {types: [fp]}", "  redact: {presets: [no-secrets]}",
		"- name: archive", "  role_arn: arn:aws:iam::210987654321:role/x", "  external_id: y", "  when_full: skip",
	), "GAPLESS_TENANT_DESTINATIONS_0_IN_FLIGHT=2", "GAPLESS_AWS_EXTERNAL_ID=main", "GAPLESS_AWS_REGION=eu-central-1")
	list := cfg.Tenants[0].Destinations
	if len(list) != 2 || list[0].CloudWatch.InFlight != 2 || list[1].CloudWatch.InFlight != 4 || list[0].WhenFull != "wait" || list[1].WhenFull != "skip" {
		t.Errorf("destinations %+v", list)
	}
	if list[0].Filter.Level() != nil || !cmp.Equal(list[0].Filter.Types.Allow, []string{"fp"}) || list[1].Redact.Presets != nil || list[0].Redact.Presets == nil {
		t.Errorf("rules %+v", list)
	}
	want := []config.AWS{
		{Region: "us-west-1", ExternalID: "main"},
		{Region: "eu-central-1", RoleARN: "arn:aws:iam::210987654321:role/x", ExternalID: "y"},
	}
	for i, w := range want {
		if diff := cmp.Diff(w, cfg.AWSForDestination(list[i])); diff != "" {
			t.Errorf("AWS for %s (-want +got):\n%s", list[i].Name, diff)
		}
	}
	if w := mustLoad(t, withDestinations("- name: a", "  log_group: /a", "  filter: {types: [fpx]}")).Warnings(); len(w) != 1 || w[0].Path != "tenants.0.destinations.0.filter.types.allow" {
		t.Errorf("warnings %v", w)
	}
}
