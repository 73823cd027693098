// Package checkup is the vocabulary of `gapless doctor`: what a check is and what it
// finds. The parts of gapless that can be checked have checks; whoever runs them needs
// to know nothing about the parts. It is a leaf: it imports no other package of ours.
package checkup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Status is the outcome of a check.
type Status string

// The outcomes.
const (
	// Pass says that it is as it must be.
	Pass Status = "pass"
	// Warn says that it works, and that a person should look at it.
	Warn Status = "warn"
	// Fail says that it does not work, or will not.
	Fail Status = "fail"
	// Skip says that it was not looked at; the summary says why.
	Skip Status = "skip"
)

// A Cause is what a failure is about, for the exit code.
type Cause string

// The causes; empty is anything else.
const (
	// Configuration can be mended by another configuration alone.
	Configuration Cause = "configuration"
	// Authorization is a refusal of credentials or of a permission.
	Authorization Cause = "authorization"
)

// A Finding is what a check has found. It holds no secret, token or event.
type Finding struct {
	Status Status `json:"status"`
	Cause  Cause  `json:"cause,omitempty"`
	// Summary is the finding in one line, without a period at its end.
	Summary string `json:"summary"`
	// Detail is more to see, such as an excerpt of a file; may have lines.
	Detail string `json:"detail,omitempty"`
	// Fix is what to type or to do; may have lines. Warnings and failures have one.
	Fix string `json:"fix,omitempty"`
}

// A Check is one thing to look at.
type Check struct {
	// Name is what it is about, in snake case, unique within a Section.
	Name string
	// Needs names checks of the same section without which it makes no sense: it is
	// skipped when one of them has failed, or was skipped for such a reason itself.
	Needs []string
	// Run looks. It ends when its context does, and returns what it found; nothing
	// makes no line.
	Run func(ctx context.Context) []Finding
}

// A Section is the checks of a part, in their order.
type Section struct {
	// Title names the part for people, such as "tenant dev-tenant: Auth0".
	Title string
	// Tenant and Destination are what it belongs to; may be empty.
	Tenant, Destination string
	Checks              []Check
}

// A Result is a finding with the check and section that it is of.
type Result struct {
	Section     string `json:"section"`
	Tenant      string `json:"tenant,omitempty"`
	Destination string `json:"destination,omitempty"`
	Check       string `json:"check"`
	Finding
}

// errLate ends a check that takes too long.
var errLate = errors.New("the check has taken too long")

// Run runs the checks of sections in their order, each for at most timeout, and tells
// each result. A failure ends nothing but the checks that need what failed. Run stops
// early only when ctx ends, and returns its cause then.
func Run(ctx context.Context, sections []Section, timeout time.Duration, tell func(Result)) error {
	for _, s := range sections {
		lost := make(map[string]string) // by check, why those that need it are skipped
		for _, c := range s.Checks {
			findings, why := look(ctx, c, lost, timeout)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if why != "" {
				lost[c.Name] = why
			}
			for _, f := range findings {
				tell(Result{Section: s.Title, Tenant: s.Tenant, Destination: s.Destination, Check: c.Name, Finding: f})
			}
		}
	}
	return nil
}

// look runs one check, or skips it. why is empty when others can build on it.
func look(ctx context.Context, c Check, lost map[string]string, timeout time.Duration) (findings []Finding, why string) {
	for _, need := range c.Needs {
		if why := lost[need]; why != "" {
			return One(Skipped("not looked at, because %s", why)), why
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errLate)
	defer cancel()
	findings = c.Run(ctx)
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Status == Fail }) {
		why = c.Name + " failed"
	}
	return findings, why
}

// One returns findings that are one.
func One(f Finding) []Finding { return []Finding{f} }

// Passed says that something is well.
func Passed(format string, args ...any) Finding {
	return Finding{Status: Pass, Summary: fmt.Sprintf(format, args...)}
}

// Skipped says that something was not looked at, and why.
func Skipped(format string, args ...any) Finding {
	return Finding{Status: Skip, Summary: fmt.Sprintf(format, args...)}
}

// Warned says that something works and is not as it should be, and what to do.
func Warned(fix, format string, args ...any) Finding {
	return Finding{Status: Warn, Summary: fmt.Sprintf(format, args...), Fix: fix}
}

// Failed says that something does not work, and what to do.
func Failed(cause Cause, fix, format string, args ...any) Finding {
	return Finding{Status: Fail, Cause: cause, Summary: fmt.Sprintf(format, args...), Fix: fix}
}

// Clean makes a finding fit for one line each of a terminal and a log.
func Clean(s string) string { return strings.Join(strings.Fields(s), " ") }
