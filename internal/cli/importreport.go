package cli

import (
	"context"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// An importReport is the outcome of an import, for programs.
type importReport struct {
	Tenant string `json:"tenant"`
	// Finished says that all files were read, as far as they can be, and all events
	// delivered or in the dead letters.
	Finished  bool `json:"finished"`
	Files     int  `json:"files"`
	FilesRead int  `json:"files_read"`
	// Events were read in this run: New ones, Known ones and Skipped ones.
	Events  int64 `json:"events"`
	New     int64 `json:"new"`
	Known   int64 `json:"known"`
	Skipped int64 `json:"skipped"`
	// Delivered is with those that waited in the buffer before.
	Delivered int64 `json:"delivered"`
	Restamped int64 `json:"restamped"`
	Altered   int64 `json:"altered"`
	Rejected  int64 `json:"rejected"`
	Waiting   int64 `json:"waiting"`
	// Unread is how many pieces could not be read; Problems are the first of them.
	Unread   int64             `json:"unread"`
	Problems []app.FileProblem `json:"problems"`
}

// report puts the outcome together.
func (r *importing) report(ctx context.Context, a *app.App, finished bool) (importReport, error) {
	n, err := a.Imported(ctx)
	if err != nil {
		return importReport{}, fmt.Errorf("read the outcome: %w", err)
	}
	p := r.im.Progress()
	out := importReport{
		Tenant: r.tenant, Finished: finished, Files: p.Files, FilesRead: p.Read,
		Events: p.Events, New: n.Stored, Known: max(0, p.Events-n.Stored-n.Skipped), Skipped: n.Skipped,
		Delivered: n.Delivered, Restamped: n.Restamped, Altered: n.Altered, Rejected: n.Rejected, Waiting: n.Waiting,
		Unread: p.AllProblems, Problems: p.Problems,
	}
	if out.Problems == nil {
		out.Problems = []app.FileProblem{}
	}
	return out, nil
}

// print writes the outcome.
func (r *importing) print(out importReport) error {
	w := r.env.Stdout
	if r.asJSON {
		return writeJSON(w, out)
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "%s: %s\n", web.Plain(out.Tenant), fmt.Sprintf(format, args...))
	}
	say("%d of %s read, with %s: %d new, %d known already", out.FilesRead, plural(int64(out.Files), "file"), plural(out.Events, "event"), out.New, out.Known)
	say("%s delivered, %d waiting", plural(out.Delivered, "event"), out.Waiting)
	for _, x := range []struct {
		n    int64
		what string
	}{
		{out.Skipped, "left out on purpose"},
		{out.Restamped, "delivered with another timestamp, for CloudWatch Logs does not take their own"},
		{out.Altered, "delivered in another form; the whole ones are in the dead letters"},
		{out.Rejected, "that CloudWatch Logs can never take, in the dead letters"},
	} {
		if x.n > 0 {
			say("%s %s", plural(x.n, "event"), x.what)
		}
	}
	if out.Unread > 0 {
		say("%s could not be read:", plural(out.Unread, "piece"))
	}
	for _, x := range out.Problems {
		rest := ""
		if x.Rest {
			rest = "; what follows was not read"
		}
		fmt.Fprintf(w, "  %s:%d: %s%s\n", web.Plain(x.File), x.Line, web.Plain(x.Reason), rest)
	}
	if more := out.Unread - int64(len(out.Problems)); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	return nil
}

// tellHowToGoOn says, of an import that was not finished, where it stopped and what
// the next one does.
func (r *importing) tellHowToGoOn() {
	w, p := r.env.Stderr, r.im.Progress()
	switch {
	case p.Current == "":
		fmt.Fprintln(w, "All is read. What waits for delivery is delivered by the next gapless run, or by the same command.")
	case r.piped:
		fmt.Fprintln(w, "Standard input cannot be read again: pipe the same in once more. What was stored is not stored again within dedup_window.")
	default:
		fmt.Fprintf(w, "Stopped in %s at line %d. The same command goes on there.\n", web.Plain(p.Current), max(p.Line, 1))
	}
}
