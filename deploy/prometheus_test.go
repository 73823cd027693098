//go:build linux

package deploy_test

import (
	"cmp"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where the alert rules and the dashboard lie.
const (
	rulesFile     = "deploy/prometheus/gapless.rules.yml"
	dashboardFile = "deploy/grafana/gapless.json"
)

// An alertRules is a file of rules, as far as gapless has any.
type alertRules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// exported reads the metrics of gapless with their labels out of the table of
// docs/operations.md, which TestMetricsAreDocumented compares with /metrics.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for line := range strings.Lines(read(t, "docs/operations.md")) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `gapless_") || len(cells) < 3 {
			continue
		}
		for _, m := range regexp.MustCompile("`(gapless_[a-z0-9_]+)(?:{([a-z_,]+)})?`").FindAllStringSubmatch(cells[0], -1) {
			labels := append(strings.Split(m[2], ","), "tenant", "job", "instance")
			if strings.HasPrefix(m[1], "gapless_destination_") {
				labels = append(labels, "destination")
			}
			out[m[1]] = labels
			if cells[1] == "histogram" {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					out[m[1]+suffix] = append(slices.Clone(labels), "le")
				}
			}
		}
	}
	if len(out) < 50 {
		t.Fatalf("the table of metrics was not understood: %d rows", len(out))
	}
	return out
}

// Parts of a query.
var (
	selector = regexp.MustCompile(`(gapless_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
)

// checkQuery finds metrics and labels that gapless does not export.
func checkQuery(t *testing.T, where, query string, metrics map[string][]string) {
	t.Helper()
	var all []string
	for _, m := range selector.FindAllStringSubmatch(query, -1) {
		labels, ok := metrics[m[1]]
		if !ok {
			t.Errorf("%s: gapless has no metric %s", where, m[1])
			continue
		}
		all = append(all, labels...)
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels, l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
	if len(all) == 0 {
		t.Errorf("%s: no metric of gapless in %q", where, query)
	}
	for _, g := range grouping.FindAllStringSubmatch(query, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(all, l) {
				t.Errorf("%s: nothing has the label %s", where, l)
			}
		}
	}
}

// TestAlertRules holds that each alert looks at metrics that there are, says what is
// wrong in terms of labels that it has, and is explained where it says that it is.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	var rules alertRules
	readYAML(t, read(t, rulesFile), &rules)
	metrics, page := exported(t), read(t, "docs/operations.md")
	_, runbook, _ := strings.Cut(page, "\n### Prometheus and Grafana\n")
	var names []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
			checkQuery(t, r.Alert, r.Expr, metrics)
			if !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) || !regexp.MustCompile(`^(\d+[mh])?$`).MatchString(r.For) {
				t.Errorf("%s: severity %q, for %q", r.Alert, r.Labels["severity"], r.For)
			}
			for _, a := range []string{"summary", "description", "runbook_url"} {
				if r.Annotations[a] == "" {
					t.Errorf("%s has no %s", r.Alert, a)
				}
			}
			if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/operations.md#prometheus-and-grafana") || !strings.Contains(runbook, "| `"+r.Alert+"` | `"+strings.ReplaceAll(r.Expr, "|", `\|`)+"`"+cmpFor(r.For)+" | "+r.Labels["severity"]+" |") {
				t.Errorf("%s is not in the table of docs/operations.md, or differs there", r.Alert)
			}
			for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
				name := selector.FindStringSubmatch(r.Expr)[1]
				if !slices.Contains(metrics[name], m[1]) {
					t.Errorf("%s: %s has no label %s to speak of", r.Alert, name, m[1])
				}
			}
		}
	}
	if slices.Sort(names); len(names) < 15 || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("alerts %q", names)
	}
	var scrape map[string]any
	readYAML(t, read(t, "deploy/prometheus/prometheus.yml"), &scrape)
	if files, _ := scrape["rule_files"].([]any); len(files) != 1 || files[0] != filepath.Base(rulesFile) {
		t.Errorf("prometheus.yml reads the rules %v", files)
	}
}

// cmpFor is how the table writes how long a condition must last.
func cmpFor(d string) string {
	if d == "" {
		return ""
	}
	return ", for " + d
}

// A dashboard is one of Grafana, as far as it can be checked here.
type dashboard struct {
	Inputs        []any  `json:"__inputs"`
	ID            *int   `json:"id"`
	UID           string `json:"uid"`
	SchemaVersion int    `json:"schemaVersion"`
	Requires      []struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	} `json:"__requires"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID          int            `json:"id"`
		Type        string         `json:"type"`
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Datasource  map[string]any `json:"datasource"`
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct {
			RefID      string         `json:"refId"`
			Datasource map[string]any `json:"datasource"`
			Expr       string         `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// TestDashboard holds that the dashboard can be imported and provisioned as it is, that
// no panel covers another, and that each looks at metrics that there are. How it looks
// takes a Grafana, and is not tested.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	metrics := exported(t)
	if d.ID != nil || d.UID == "" || d.SchemaVersion < 39 || len(d.Inputs) != 0 || len(d.Templating.List) != 2 ||
		d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Type != "datasource" || d.Templating.List[1].Name != "tenant" {
		t.Errorf("head %+v", d.Templating)
	}
	checkQuery(t, "the variable tenant", d.Templating.List[1].Definition, metrics)
	ids, cells, kinds := make(map[int]bool), make(map[[2]int]string), make(map[string]bool)
	for _, r := range d.Requires {
		kinds[r.ID] = r.Type == "panel"
	}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s lies outside of the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s covers %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || !kinds[p.Type] || p.Datasource["uid"] != "${datasource}" {
			t.Errorf("%s: description %q, %d queries, type %s, data source %v", p.Title, p.Description, len(p.Targets), p.Type, p.Datasource)
		}
		for _, q := range p.Targets {
			checkQuery(t, p.Title, q.Expr, metrics)
			ofTenant := slices.ContainsFunc(selector.FindAllStringSubmatch(q.Expr, -1), func(m []string) bool {
				return !regexp.MustCompile("^gapless_(build_info|store_(file|disk|commit).*)$").MatchString(m[1])
			})
			if q.Datasource["uid"] != "${datasource}" || ofTenant && !strings.Contains(q.Expr, `tenant=~"$tenant"`) {
				t.Errorf("%s: %s ignores a variable", p.Title, q.Expr)
			}
		}
	}
	for _, file := range []string{rulesFile, dashboardFile} { // a chart reaches no file outside of itself
		if copied := filepath.Join("deploy", "helm", "gapless", "files", filepath.Base(file)); read(t, copied) != read(t, file) {
			t.Errorf("%s and %s differ; copy the second over the first", copied, file)
		}
	}
	var provisioning map[string]any
	readYAML(t, read(t, "deploy/grafana/provisioning.yaml"), &provisioning)
	if provisioning["apiVersion"] != uint64(1) {
		t.Errorf("provisioning %v", provisioning)
	}
}

// TestPrometheusTakesTheRules has Prometheus' own reader look at the rules and at the
// queries of the dashboard.
func TestPrometheusTakesTheRules(t *testing.T) {
	t.Parallel()
	tool, err := filepath.Abs(filepath.Join(root, ".tools", "promcheck"))
	if err == nil {
		_, err = exec.LookPath(tool)
	}
	if err != nil {
		t.Skipf("NOT RUN: %v. To run this test: make alerttools", err)
	}
	out := command{dir: root}.must(t.Context(), t, tool, rulesFile, dashboardFile)
	metrics, n := exported(t), 0
	for name := range strings.Lines(out) {
		if n++; metrics[strings.TrimSpace(name)] == nil {
			t.Errorf("Prometheus reads the metric %s, which gapless has not", strings.TrimSpace(name))
		}
	}
	if n < 20 {
		t.Errorf("%d metrics: %s", n, cmp.Or(out, "nothing"))
	}
	bad := filepath.Join(t.TempDir(), "bad.yml")
	write(t, bad, strings.Replace(read(t, rulesFile), "humanizeDuration", "humanise", 1))
	if _, stderr, err := (command{dir: root}).run(t.Context(), t, tool, bad); err == nil || !strings.Contains(stderr, "humanise") {
		t.Errorf("a template that cannot work is taken: %v, %s", err, stderr)
	}
}
