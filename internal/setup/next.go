package setup

import (
	"context"
	"regexp"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// Next returns what to do after the file has been written, as lines for a shell with
// comments between. file is its path as a shell reads it, or "-" for one that was
// printed. found says that gapless finds the file by itself, without --config.
func (a Answers) Next(file string, found bool) []string {
	at := places()[a.Where]
	var lines []string
	if a.polls() {
		lines = append(lines, "# In Auth0, the application of this client ID needs read:logs on the Management API, and no more.")
	} else {
		lines = append(lines, "# In Auth0, make a log stream: Custom Webhook, with the token below as its Authorization Token and",
			"# the URL https://HOST/v1/tenants/"+a.Name+"/logs of "+a.WebhookListen+" as others reach it.")
	}
	if file == "-" {
		file = config.DefaultFile
		lines = append(lines, "# Keep what was printed as "+file+".")
	}
	refs := []string{a.ClientSecret, a.PrivateKey, a.WebhookToken}
	if a.Slack {
		refs = append(refs, slackReference)
	}
	for _, ref := range refs {
		lines = append(lines, fetch(ref, at)...)
	}
	with := " --config " + file
	if found {
		with = ""
	}
	run := "gapless run"
	if at.once {
		run = "gapless run --once"
	}
	return append(lines,
		"# In AWS, gapless needs a log group and a policy: plan shows what is missing, and apply makes it (docs/setup.md).",
		"gapless setup plan"+with, "gapless setup apply"+with,
		"# Where gapless runs: will it work?",
		"gapless doctor"+with, run+with)
}

// fetch says how a referenced secret gets to where gapless looks for it.
func fetch(reference string, at place) []string {
	kind, target, _ := strings.Cut(reference, ":")
	switch {
	case reference == "":
		return nil
	case kind == "env" && regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(target):
		return []string{"# Set it " + at.supply + ":", "export " + target + "=..."}
	case kind == "file":
		return []string{"# Put the secret into the file that " + config.YAMLText(reference) + " names, readable for gapless alone."}
	default:
		return []string{"# The identity of gapless may read " + config.YAMLText(reference) + " (see docs/security.md)."}
	}
}

// Warnings returns what config check will warn of, as sentences.
func (a Answers) Warnings(ctx context.Context) ([]string, error) {
	cfg, err := load(ctx, a.File())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, w := range cfg.Warnings() {
		out = append(out, strings.TrimSpace(w.Path+" "+w.Problem+". "+w.Fix))
	}
	return out, nil
}
