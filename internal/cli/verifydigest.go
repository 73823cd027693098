package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/web"
)

// digestFlags are those of "verify --digest".
type digestFlags struct {
	on   bool
	from string
	keys []string
	head string
}

// addDigestFlags gives cmd the flags of "verify --digest".
func addDigestFlags(cmd *cobra.Command) *digestFlags {
	d := &digestFlags{}
	f := cmd.Flags()
	f.BoolVar(&d.on, "digest", false, "check the ledger, and the destinations against it, without Auth0; without --since all of it")
	f.StringVar(&d.from, "from", app.LedgerFromStore, "where the ledger is, with --digest: store, cloudwatch, s3 for the bucket of ledger.s3, s3://BUCKET/PREFIX, or the path of a `FILE` or directory")
	f.StringArrayVar(&d.keys, "public-key", nil, "`KEY` that the ledger is signed with, as a file or in base64; may be given several times")
	f.StringVar(&d.head, "head", "", "`HASH` of an entry that was noted down elsewhere, and must be in the ledger")
	return d
}

// check refuses flags that do nothing.
func (d *digestFlags) check(cmd *cobra.Command) error {
	only, never := []string{"from", "public-key", "head"}, []string{"repair", "rate-share"}
	for _, name := range only {
		if !d.on && cmd.Flags().Changed(name) {
			return usageError(cmd, "--%s goes with --digest", name)
		}
	}
	for _, name := range never {
		if d.on && cmd.Flags().Changed(name) {
			return usageError(cmd, "--%s does not go with --digest", name)
		}
	}
	return nil
}

// publicKeys reads the keys that were given.
func (d *digestFlags) publicKeys(cmd *cobra.Command) (keys []ledger.PublicKey, err error) {
	for _, text := range d.keys {
		b, err := os.ReadFile(filepath.Clean(text))
		if err == nil {
			text = string(b)
		}
		k, err := ledger.ParsePublicKey(text)
		if err != nil {
			return nil, usageError(cmd, "--public-key: the file, or the text, %w", err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// A digestLine is an hour, or a fault of the chain, for programs.
type digestLine struct {
	Tenant      string          `json:"tenant"`
	Destination string          `json:"destination"`
	Hour        *ledger.Result  `json:"hour,omitempty"`
	Problem     *ledger.Problem `json:"problem,omitempty"`
}

// A digestSummary is what was found of a destination, for programs.
type digestSummary struct {
	Tenant      string         `json:"tenant"`
	Destination string         `json:"destination"`
	Clean       bool           `json:"clean"`
	Entries     int            `json:"entries"`
	Signed      int64          `json:"signed"`
	Signatures  bool           `json:"signatures_checked"`
	Head        ledger.Head    `json:"head"`
	SealedUntil time.Time      `json:"sealed_until,omitzero"`
	Hours       int64          `json:"hours"`
	Matched     int64          `json:"matched"`
	Expired     int64          `json:"expired"`
	Unclean     int64          `json:"unclean"`
	Events      int64          `json:"events"`
	Twice       int64          `json:"twice"`
	Foreign     int64          `json:"foreign"`
	First       *ledger.Result `json:"first,omitempty"`
	Problems    int            `json:"problems"`
	Notes       []string       `json:"notes,omitempty"`
}

// runDigest checks the ledger.
func (v *verifying) runDigest(ctx context.Context, cfg *config.Config, audit app.LedgerAudit, repeated string) (err error) {
	logger, err := newLogger(v.logWriter(&cfg.Log.Format), cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	opts := app.Options{Config: cfg, Logger: logger, Version: build(v.env.Version).Version, Secrets: resolver(cfg, v.env)}
	out, err := v.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	audit.Progress = func(destination string, until time.Time, _ int64) {
		if now := time.Now(); now.Sub(v.shown) > 250*time.Millisecond && isTerminal(v.env.Stderr) {
			v.shown = now
			v.line(fmt.Sprintf("reading %s: up to %s", destination, until.Format("2006-01-02 15:04")))
		}
	}
	hours := make(map[string][]ledger.Result)
	reports, err := app.AuditLedger(ctx, opts, audit, func(destination string, r ledger.Result) error {
		if !v.asJSON {
			if len(hours[destination]) < mostShown || !isTerminal(v.env.Stdout) || v.file != "" {
				hours[destination] = append(hours[destination], r)
			}
			return nil
		}
		return out.jsonLine(digestLine{Tenant: audit.Tenant, Destination: destination, Hour: &r})
	})
	v.endLine()
	if err != nil {
		return err
	}
	var first *ledger.Result
	clean := true
	for i := range reports {
		r := &reports[i]
		if err := out.digest(audit.Tenant, r, hours[r.Destination]); err != nil {
			return err
		}
		clean = clean && r.Clean()
		if first == nil {
			first = r.Summary.First
		}
	}
	if clean {
		return nil
	}
	next := "See docs/audit.md for what each finding means"
	if first != nil {
		next = fmt.Sprintf("Auth0 may still name the log_ids: gapless verify%s --tenant %s --since %s --until %s", repeated, audit.Tenant, clockOf(first.From), clockOf(first.Until))
	}
	return fail(exitNotClean, next, fmt.Errorf("tenant %s: %w", audit.Tenant, errNotClean))
}

// clockOf writes a time for a person and for a flag.
func clockOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// jsonLine prints a line for programs.
func (o *verifyOutput) jsonLine(x any) error {
	for _, w := range o.writers() {
		if err := writeJSONLine(w, x); err != nil {
			return err
		}
	}
	return nil
}

// digest prints what was found of a destination.
func (o *verifyOutput) digest(tenant string, r *app.LedgerReport, hours []ledger.Result) error {
	s := &r.Summary
	if o.asJSON {
		for i := range r.Record.Problems {
			if err := o.jsonLine(digestLine{Tenant: tenant, Destination: r.Destination, Problem: &r.Record.Problems[i]}); err != nil {
				return err
			}
		}
		return o.jsonLine(digestSummary{
			Tenant: tenant, Destination: r.Destination, Clean: r.Clean(), Entries: len(r.Record.Entries), Signed: r.Record.Signed, Signatures: r.KeysGiven,
			Head: r.Record.Head, SealedUntil: r.Record.SealedUntil, Hours: s.Hours, Matched: s.Matched, Expired: s.Expired, Unclean: s.Unclean, Events: s.Events,
			Twice: s.Twice, Foreign: s.Foreign, First: s.First, Problems: len(r.Record.Problems), Notes: r.Record.Notes,
		})
	}
	for _, w := range o.writers() {
		if _, err := io.WriteString(w, plainLines(digestText(tenant, r, hours))); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	return nil
}

// digestText is the report for a person.
func digestText(tenant string, r *app.LedgerReport, hours []ledger.Result) string {
	var b strings.Builder
	s, c := &r.Summary, &r.Record
	fmt.Fprintf(&b, "%s, %s: the ledger has %s", tenant, r.Destination, entries(int64(len(c.Entries))))
	if !c.SealedUntil.IsZero() {
		fmt.Fprintf(&b, " and is sealed until %s", clockOf(c.SealedUntil))
	}
	fmt.Fprintf(&b, "\n  chain       ")
	if len(c.Problems) == 0 {
		b.WriteString("whole")
	} else {
		b.WriteString(plural(int64(len(c.Problems)), "fault"))
	}
	switch {
	case r.KeysGiven && len(c.Problems) == 0:
		b.WriteString(", all signatures right\n")
	case r.KeysGiven:
		b.WriteString(", signatures checked\n")
	default:
		fmt.Fprintf(&b, ", signatures not checked (%d of %d entries are signed; give --public-key)\n", c.Signed, len(c.Entries))
	}
	for i, p := range c.Problems {
		if i == mostShown {
			fmt.Fprintf(&b, "  ... and %d more\n", len(c.Problems)-i)
			break
		}
		at := ""
		if p.Chain != "" {
			at = fmt.Sprintf("entry %d of chain %s", p.Seq, p.Chain)
			if !p.From.IsZero() {
				at += " (" + clockOf(p.From) + ")"
			}
			at += ": "
		}
		fmt.Fprintf(&b, "  %-11s %s%s\n", p.Fault, at, p.Detail)
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "  note        %s\n", note)
	}
	fmt.Fprintf(&b, "  head        entry %d of chain %s, hash %s\n", c.Head.Seq, c.Head.Chain, c.Head.Hash)
	fmt.Fprintf(&b, "  destination %s compared, %d match, %s", plural(s.Hours, "hour"), s.Matched, plural(s.Events, "event"))
	if s.Expired > 0 {
		fmt.Fprintf(&b, ", %d not kept any more by the log group", s.Expired)
	}
	if s.Foreign > 0 {
		fmt.Fprintf(&b, ", %d foreign messages", s.Foreign)
	}
	b.WriteString("\n")
	if s.First != nil {
		fmt.Fprintf(&b, "  first       the first hour that is not as it was delivered begins at %s\n", clockOf(s.First.From))
	}
	for _, h := range hours {
		b.WriteString(hourText(&h))
	}
	if more := s.Unclean - int64(len(hours)); more > 0 {
		fmt.Fprintf(&b, "  ... and %d more\n", more)
	}
	return b.String()
}

// hourText is the line of an hour.
func hourText(h *ledger.Result) string {
	text := fmt.Sprintf("  %-11s %s: %s in the ledger, %d there", h.Verdict, clockOf(h.From), plural(h.Expected, "event"), h.There)
	list := func(what string, ids []string) {
		if len(ids) > 0 {
			text += "; " + what + " " + web.Plain(strings.Join(ids, ", "))
		}
	}
	list("missing", h.LateMissing)
	list("changed", h.LateChanged)
	list("twice", h.TwiceIDs)
	return text + "\n"
}
