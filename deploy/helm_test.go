//go:build linux

package deploy_test

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	cmpdiff "github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// chartKube is the version of Kubernetes that the chart is rendered for.
const chartKube = "1.33.0"

// chartTool returns a tool that `make charttools` builds, or one in PATH.
func chartTool(t *testing.T, name string) string {
	t.Helper()
	built, err := filepath.Glob(filepath.Join(root, ".tools", name+"*"))
	if err == nil && len(built) > 0 {
		path, err := filepath.Abs(built[len(built)-1])
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("NOT RUN: %s is not installed. To run this test: make charttools", name)
	}
	return path
}

// placeholder is in the place of each secret.
const placeholder = "0123456789abcdef0123456789abcdef"

// A manifest is what we look at of a rendered manifest.
type manifest struct {
	Kind     string            `yaml:"kind"`
	Metadata map[string]any    `yaml:"metadata"`
	Data     map[string]string `yaml:"data"`
	Spec     struct {
		Replicas int `yaml:"replicas"`
		Template struct {
			Spec struct {
				Containers []struct {
					Args []string `yaml:"args"`
					Env  []struct {
						Name  string `yaml:"name"`
						Value string `yaml:"value"`
					} `yaml:"env"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// TestChart renders the chart with each of its sets of values, has helm lint it and
// kubecheck compare it with the API, and gapless read its configuration.
func TestChart(t *testing.T) {
	t.Parallel()
	helm, kubecheck := chartTool(t, "helm"), chartTool(t, "kubecheck")
	chart := filepath.Join(root, "deploy", "helm", "gapless")
	values, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	if err != nil || len(values) < 3 {
		t.Fatalf("%v, %v", values, err)
	}
	for _, file := range values {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			c := command{env: []string{"HELM_CACHE_HOME=" + t.TempDir(), "HELM_CONFIG_HOME=" + t.TempDir(), "HELM_DATA_HOME=" + t.TempDir()}}
			c.must(t.Context(), t, helm, "lint", "--strict", "--kube-version", chartKube, "--values", file, chart)
			rendered := c.must(t.Context(), t, helm, "template", "gapless", chart, "--namespace", "logs", "--kube-version", chartKube, "--values", file)
			var out bytes.Buffer
			cmd := exec.CommandContext(t.Context(), kubecheck)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(rendered), &out, &out
			if err := cmd.Run(); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
			for line := range strings.Lines(out.String()) {
				if !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "unknown monitoring.coreos.com/v1 ServiceMonitor") && !strings.HasPrefix(line, "unknown monitoring.coreos.com/v1 PrometheusRule") {
					t.Errorf("kubecheck: %s", line)
				}
			}
			checkChartConfig(t, rendered)
			checkChartMonitoring(t, rendered, filepath.Base(file) == "all.yaml")
		})
	}
}

// checkChartConfig has gapless check the file and the variables that the container has.
func checkChartConfig(t *testing.T, rendered string) {
	t.Helper()
	dir := t.TempDir()
	var env, args []string
	for text := range strings.SplitSeq(rendered, "\n---\n") {
		var m manifest
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		switch m.Kind {
		case "ConfigMap":
			text, ok := m.Data["gapless.yaml"]
			if !ok {
				continue // the dashboard
			}
			for _, name := range regexp.MustCompile(`file:/run/secrets/gapless/([a-z0-9-]+)`).FindAllStringSubmatch(text, -1) {
				write(t, filepath.Join(dir, name[1]), placeholder)
			}
			write(t, filepath.Join(dir, "gapless.yaml"), strings.ReplaceAll(text, "file:/run/secrets/gapless/", "file:"+dir+"/"))
		case "StatefulSet":
			if m.Spec.Replicas != 1 {
				t.Errorf("%d replicas; one process at a time may use a data directory", m.Spec.Replicas)
			}
			args = m.Spec.Template.Spec.Containers[0].Args
			for _, v := range m.Spec.Template.Spec.Containers[0].Env {
				env = append(env, v.Name+"="+cmp.Or(v.Value, placeholder))
			}
		}
	}
	if !slices.Equal(args, []string{"run"}) || len(env) < 2 {
		t.Errorf("the container runs %v with %v", args, env)
	}
	for i, v := range env { // what is mounted there
		if strings.HasPrefix(v, "GAPLESS_WEBHOOK_TLS_") {
			name, path, _ := strings.Cut(v, "=")
			env[i] = name + "=" + filepath.Join(dir, filepath.Base(path))
			write(t, filepath.Join(dir, filepath.Base(path)), "")
		}
	}
	var out bytes.Buffer
	code := cli.Main(context.Background(), []string{"config", "check", "--config", filepath.Join(dir, "gapless.yaml")},
		cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Environ: env})
	if code != 0 {
		t.Errorf("gapless config check ends with %d:\n%s", code, out.String())
	}
}

// checkChartMonitoring compares the alert rules and the dashboard with those of deploy/.
func checkChartMonitoring(t *testing.T, rendered string, wanted bool) {
	t.Helper()
	var want alertRules
	readYAML(t, read(t, rulesFile), &want)
	rules, boards := 0, 0
	for text := range strings.SplitSeq(rendered, "\n---\n") {
		var m struct {
			Kind string            `yaml:"kind"`
			Spec alertRules        `yaml:"spec"`
			Data map[string]string `yaml:"data"`
		}
		if strings.Contains(text, "kind: PrometheusRule\n") {
			rules++
			if err := yaml.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			if d := cmpdiff.Diff(want, m.Spec); d != "" {
				t.Errorf("the chart's rules differ (-deploy +chart):\n%s", d)
			}
		}
		if strings.Contains(text, "  gapless.json: |") {
			boards++
			if err := yaml.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(m.Data["gapless.json"]) != strings.TrimSpace(read(t, dashboardFile)) {
				t.Error("the chart's dashboard differs from that of deploy/grafana")
			}
		}
	}
	if wanted != (rules == 1) || wanted != (boards == 1) {
		t.Errorf("%d sets of rules and %d dashboards, wanted: %t", rules, boards, wanted)
	}
}

// TestChartRefuses renders the chart with values that cannot work.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	helm := chartTool(t, "helm")
	chart := filepath.Join(root, "deploy", "helm", "gapless")
	least := filepath.Join(chart, "ci", "least.yaml")
	for _, c := range []struct {
		name string
		set  string
		want string
	}{
		{"no image", "image.repository=", "/image/repository"},
		{"a tag that moves", "image.tag=latest", "/image/tag"},
		{"no tag", "image.tag=", "/image"},
		{"another data directory", "config.data_dir=/data", "/config/data_dir"},
		{"no such value", "replicas=2", "replicas"},
		{"TLS in two places", "webhook.enabled=true,webhook.tlsSecret=a,webhook.ingress.enabled=true,webhook.ingress.host=b", "exclude each other"},
		{"an Ingress without a host", "webhook.enabled=true,webhook.ingress.enabled=true", "webhook.ingress.host must be set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, stderr, err := command{}.run(t.Context(), t, helm, "template", "gapless", chart, "--kube-version", chartKube, "--values", least, "--set", c.set)
			if err == nil || !strings.Contains(stderr, c.want) {
				t.Errorf("%v: %s; want %q", err, stderr, c.want)
			}
		})
	}
}

// TestChartNamesNoImage keeps the chart from naming an image that nobody has pushed.
func TestChartNamesNoImage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "helm", "gapless", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^  repository: ""$`).Match(text) || !regexp.MustCompile(`(?m)^  tag: ""$`).Match(text) {
		t.Error("values.yaml has an image of its own; there is no public one")
	}
}
