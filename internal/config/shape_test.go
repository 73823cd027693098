package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

func TestShapeOfMessages(t *testing.T) {
	t.Parallel()
	m := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	many := map[string]string{}
	for i := range 21 {
		many[strings.Repeat("a", i+1)] = "tenant"
	}
	const at = "tenants.0.cloudwatch."
	for name, c := range map[string]struct {
		fields, copies map[string]string
		want           string
	}{
		"all":            {m("a", "tenant", "b", "type_title", "c", "category", "d", "severity", "e", "source", "f", "text:x, y", "g.h", "text:"), m("i", "details.prompts.0.name", "j", "user_id"), ""},
		"word":           {m("a", "level"), nil, at + `fields.a "level" is not what a field can hold`},
		"name":           {m("a b", "tenant"), nil, at + "fields.a b has a name that it cannot have"},
		"AWS's name":     {nil, m("@message", "ip"), at + "copy.@message has a name that it cannot have"},
		"an id":          {m("log_id", "tenant"), nil, at + "fields.log_id has a name by which events are read"},
		"path":           {nil, m("a", "details..ip"), at + `copy.a "details..ip" is not a path`},
		"in both":        {m("a", "tenant"), m("a", "ip"), at + "copy.a is in fields too"},
		"too many":       {many, nil, at + "fields has 21 members; 20 are the most"},
		"too many paths": {nil, many, at + "copy has 21 members; 20 are the most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := valid(t)
			cloudwatch(func(cw *config.CloudWatch) { cw.Fields, cw.Copy = c.fields, c.copies })(cfg)
			got := problems(t, cfg.Validate())
			for i := range got {
				if _, after, ok := strings.Cut(got[i], ": "); ok && strings.HasPrefix(got[i], "g.yaml:") {
					got[i] = after
				}
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0] != c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestShapeIsPrinted reads a shape from the file and from variables, and what is
// printed again.
func TestShapeIsPrinted(t *testing.T) {
	t.Parallel()
	file := `
data_dir: /d
tenants:
  - name: dev
    domain: dev.us.auth0.com
    client_id: a
    client_secret: env:S
    cloudwatch:
      log_stream: "{severity}/{organization}/{year}-{month}"
      max_streams: 50
      fields: {gapless.tenant: tenant, stage: "text:a, b"}
      copy:
        ip: details.request.ip
`
	cfg := mustLoad(t, file)
	var b strings.Builder
	if err := cfg.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, b.String())
	cw := again.Tenants[0].CloudWatch
	if diff := cmp.Diff([]any{map[string]string{"gapless.tenant": "tenant", "stage": "text:a, b"}, map[string]string{"ip": "details.request.ip"}, 50},
		[]any{cw.Fields, cw.Copy, cw.MaxStreams}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
