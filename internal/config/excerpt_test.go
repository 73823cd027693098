package config_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/config"
)

// withCanaries is a file whose every secret is the canary, with problems around
// each so that excerpts show the lines.
const withCanaries = `lisen: 1
tenants:
  - name: dev   # client_secret: ` + canary + `
    domain: dev.example.com
    client_id: abc
    client_secret: ` + canary + `
    start_from: never
    private_key: |
      -----BEGIN ` + canary + `-----
      domain: ` + canary + `
    poll_interval: soon
    client_secrt: "` + canary + `"
    # client_secret: ` + canary + `
    cloudwatch: {log_gruop: a, tags: {token: ` + canary + `}}
  - {name: b, client_secret: ` + canary + `, domian: x}
aws:
  endpoint: https://user:` + canary + `@vpce.example.com
`

func TestExcerpt(t *testing.T) {
	t.Parallel()
	_, err := load(t, withCanaries)
	bad, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"   10 |       ********",
		">  11 |     poll_interval: soon",
		"      |     ^",
		"   12 |     client_secrt: ********",
	}, "\n")
	for _, p := range bad.Problems {
		if p.Path == "tenants.0.poll_interval" {
			if d := cmp.Diff(want, p.Excerpt); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		}
	}
	if shown := everything(err); strings.Contains(shown, canary) {
		t.Errorf("a secret is shown:\n%s", shown)
	}
}

// everything returns all that an error of Load can show.
func everything(err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%+v\n%#v\n", err, err, err)
	if bad, ok := errors.AsType[*config.InvalidError](err); ok {
		for _, p := range bad.Problems {
			fmt.Fprintf(&b, "%+v\n%s\n%s\n", *p, p.Fix, p.Excerpt)
		}
	}
	return b.String()
}

// TestBrokenFilesShowNoSecret breaks a file at a random place in a random way.
func TestBrokenFilesShowNoSecret(t *testing.T) {
	t.Parallel()
	good := `data_dir: /data
tenants:
  - name: dev
    domain: dev.example.com
    start_from: earliest
    filter:
      types: [f, fp]
      expression: "event.type == 'f'"
    client_secret: ` + canary + `
    poll_interval: 1s
    client_id: abc
    cloudwatch:
      log_group: /x
  - name: b
    domain: b.example.com
    client_id: b
    rate_share: 0.5
    private_key: |
      -----BEGIN PRIVATE KEY-----
      ` + canary + `
      -----END PRIVATE KEY-----
`
	rapid.Check(t, func(rt *rapid.T) {
		text := good
		for range rapid.IntRange(1, 3).Draw(rt, "breaks") {
			at := rapid.IntRange(0, len(text)-1).Draw(rt, "at")
			to := at
			if rapid.Bool().Draw(rt, "delete") {
				to = min(len(text), at+rapid.IntRange(1, 8).Draw(rt, "length"))
			}
			insert := rapid.SampledFrom([]string{"", ":", "\n", "'", "\"", "#", "{", "}", "[", "]", ",", "- ", "  ", "\t", "|", ">", "&a ", "*a", "!", "%", "@", "---\n", "<<: "}).Draw(rt, "insert")
			// The secret itself stays whole: half a secret could not be found.
			if s := text[:at] + insert + text[to:]; strings.Count(s, canary) == strings.Count(text, canary) && s != "" {
				text = s
			}
		}
		_, err := config.Load(context.Background(), config.LoadOptions{File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": text})})
		if shown := everything(err); strings.Contains(shown, canary) {
			rt.Fatalf("a secret is shown\n%s\nof the file\n%s", shown, text)
		}
	})
}

// FuzzLoad holds that no file makes Load panic or fail with an error that is not
// a list of problems, and that what it takes it can print and take again.
func FuzzLoad(f *testing.F) {
	f.Add(minimal, "listen", "x")
	f.Add(withCanaries, "tenants.0.client_secret", "env:X")
	f.Add("a: &a [*a, *a]\n<<: *a\n? b\n: c", "tenants.1.name", "")
	f.Add("{\"data_dir\": \"/x\", \"tenants\": [{}]}", "tenants.0.cloudwatch.tags.a.b", "c")
	f.Add("log: !!map {level: !!str info}\n--- \n...\n%YAML 1.2", "log", "1e999")
	f.Fuzz(func(t *testing.T, file, path, value string) {
		read := func(text string) (*config.Config, error) {
			return config.Load(t.Context(), config.LoadOptions{
				File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": text}),
				Environ: []string{config.EnvName(path) + "=" + value, "HOME=/home/u"},
				Sets:    []string{path + "=" + value},
			})
		}
		cfg, err := read(file)
		if err != nil {
			if !errors.Is(err, config.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			return
		}
		text := printed(t, cfg, true)
		text = strings.ReplaceAll(text, "\""+config.Redacted+"\"", "env:REPLACED")
		if _, err := read(text); err != nil {
			t.Fatalf("printed, it cannot be read again: %v\n%s", err, text)
		}
	})
}
