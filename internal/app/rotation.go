package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// secretsPart is the part under which it is told that a secret cannot be read, or
	// that the new one is refused.
	secretsPart = "secrets"
	// fileLook is the pause between two looks at secrets in files, which cost nothing.
	// Those in AWS are looked at as secrets.refresh says.
	fileLook = 10 * time.Second
	// fileSettles is how long a file that has changed must hold the same: it may be
	// being written.
	fileSettles = time.Second
	// refusedRest is the shortest time between two looks for credentials that Auth0
	// refuses.
	refusedRest = time.Minute
)

// A rotation sees to it that a tenant works with the secrets that its references lead
// to now. A secret that cannot be read, or not be used, leaves the one in use.
type rotation struct {
	secrets *secrets
	logger  *slog.Logger
	report  func(context.Context, string, *pipeline.Condition) // may be nil
	changes prometheus.Counter
	watched []*watched // as of the build

	looking sync.Mutex // one look at a time
	asked   time.Time  // when credentials were last looked for because they were refused

	mu      sync.Mutex
	every   time.Duration // 0 never
	failing map[string]pipeline.Error
	since   time.Time
}

// A watched setting is one whose secrets may change.
type watched struct {
	name   string
	refs   []config.Secret
	values []string // in use
	use    func([]string) error
}

// newRotation returns the rotation of a tenant that has no secrets yet.
func newRotation(s *secrets, logger *slog.Logger, reg prometheus.Registerer, tenant string) *rotation {
	r := &rotation{secrets: s, logger: logger, failing: make(map[string]pipeline.Error), changes: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "gapless", Name: "secret_changes_total", Help: "Secrets that were taken into use while running because what their references lead to has changed.",
		ConstLabels: prometheus.Labels{"tenant": tenant},
	})}
	reg.MustRegister(r.changes)
	return r
}

// setEvery sets how often the secrets that are kept in AWS are read; 0 reads none by
// the clock.
func (r *rotation) setEvery(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.every = d
}

// pause returns what setEvery has set.
func (r *rotation) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.every
}

// credentialsName is the setting that a tenant authenticates with.
func credentialsName(t config.Tenant) string {
	if t.PrivateKey.IsZero() {
		return "client_secret"
	}
	return "private_key"
}

// watch adds a setting with the values in use, unless none of them can change.
func (r *rotation) watch(name string, refs []config.Secret, values []string, use func([]string) error) {
	if slices.ContainsFunc(refs, config.Secret.Changes) {
		r.watched = append(r.watched, &watched{name, refs, values, use})
	}
}

// run looks for changes until ctx ends.
func (r *rotation) run(ctx context.Context) {
	if len(r.watched) == 0 {
		return
	}
	last := time.Now()
	for pipeline.Wait(ctx, fileLook) == nil {
		every := r.pause()
		if every == 0 {
			continue
		}
		now := time.Now()
		remote := now.Sub(last) >= every
		if remote {
			last = now
		}
		r.look(ctx, func(w *watched) bool { return remote || !slices.ContainsFunc(w.refs, config.Secret.IsRemote) })
	}
}

// lookAll looks at all secrets.
func (r *rotation) lookAll(ctx context.Context) { r.look(ctx, func(*watched) bool { return true }) }

// refused looks for other credentials when Auth0 has refused those in use, and reports
// whether there were any.
func (r *rotation) refused(ctx context.Context) bool {
	r.mu.Lock()
	now := time.Now()
	if !r.asked.IsZero() && now.Sub(r.asked) < refusedRest {
		r.mu.Unlock()
		return false
	}
	r.asked = now
	r.mu.Unlock()
	return r.look(ctx, func(w *watched) bool { return w.name == "client_secret" || w.name == "private_key" })
}

// renewed hears whether Auth0 takes new credentials. While it does not, the tenant goes
// on with the access token that it has.
func (r *rotation) renewed(ctx context.Context, err error) {
	const strand = "credentials"
	e, refused := errors.AsType[*auth0.Error](err)
	switch {
	case err == nil:
		r.fine(ctx, strand)
	case refused && e.Kind == auth0.Unauthorized:
		r.failed(ctx, strand, pipeline.Error{
			Op: "use the new credentials", Class: pipeline.Unauthorized, Err: e,
			Hint: "The access token from before stays in use until its end, a day at most. " + e.Hint,
		})
	}
}

// look reads secrets again and takes into use what has changed. It reports whether
// anything has.
func (r *rotation) look(ctx context.Context, at func(*watched) bool) (changed bool) {
	r.looking.Lock()
	defer r.looking.Unlock()
	for _, w := range r.watched {
		if at(w) && ctx.Err() == nil && r.lookAt(ctx, w) {
			changed = true
		}
	}
	return changed
}

// lookAt is look for one setting. The caller holds looking.
func (r *rotation) lookAt(ctx context.Context, w *watched) bool {
	values, err := r.read(ctx, w)
	if err == nil && !slices.Equal(values, w.values) && slices.ContainsFunc(w.refs, config.Secret.IsFile) {
		first := values
		if pipeline.Wait(ctx, fileSettles) != nil {
			return false
		}
		if values, err = r.read(ctx, w); err == nil && !slices.Equal(values, first) {
			return false // the next look finds it at rest
		}
	}
	if ctx.Err() != nil {
		return false
	}
	if err == nil && !slices.Equal(values, w.values) {
		return r.use(ctx, w, values)
	}
	if err != nil {
		r.failed(ctx, w.name, pipeline.Error{Op: "read " + w.name, Err: err, Hint: w.fix()})
	} else {
		r.fine(ctx, w.name)
	}
	return false
}

// read reads the secrets of a setting.
func (r *rotation) read(ctx context.Context, w *watched) ([]string, error) {
	values := make([]string, len(w.refs))
	for i, ref := range w.refs {
		var err error
		if values[i], err = r.secrets.read(ctx, ref); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// use takes new values into use, if they can be.
func (r *rotation) use(ctx context.Context, w *watched, values []string) bool {
	if err := w.use(values); err != nil {
		r.failed(ctx, w.name, pipeline.Error{Op: "use the new " + w.name, Err: err, Hint: w.fix()})
		return false
	}
	w.values = values
	r.changes.Inc()
	r.logger.LogAttrs(ctx, slog.LevelInfo, "a secret has changed, the new one is in use", slog.String("setting", w.name), slog.String("from", w.places()))
	r.fine(ctx, w.name)
	return true
}

// places says where the secrets of a setting come from.
func (w *watched) places() string {
	var all []string
	for _, ref := range w.refs {
		if !ref.IsZero() {
			all = append(all, ref.String())
		}
	}
	return strings.Join(all, ", ")
}

// fix says what a person can do about a secret of the setting that is of no use.
func (w *watched) fix() string {
	for _, ref := range w.refs {
		if ref.Changes() {
			return "The one from before stays in use. " + ref.Fix() + " It is read again by itself."
		}
	}
	return ""
}

// failed notes what is wrong with a setting, and tells of it once.
func (r *rotation) failed(ctx context.Context, name string, e pipeline.Error) {
	r.mu.Lock()
	before, known := r.failing[name]
	if len(r.failing) == 0 {
		r.since = time.Now()
	}
	r.failing[name] = e
	c := r.condition()
	r.mu.Unlock()
	if known && before.Error() == e.Error() {
		return
	}
	r.logger.LogAttrs(ctx, slog.LevelWarn, "a secret cannot be renewed, the one from before stays in use",
		slog.String("part", secretsPart), slog.String("error", e.Error()), slog.String("hint", e.Hint))
	r.tell(ctx, c)
}

// fine notes that nothing is wrong with a setting any more.
func (r *rotation) fine(ctx context.Context, name string) {
	r.mu.Lock()
	_, known := r.failing[name]
	delete(r.failing, name)
	c, since := r.condition(), r.since
	r.mu.Unlock()
	if !known {
		return
	}
	if c == nil {
		r.logger.LogAttrs(ctx, slog.LevelInfo, "recovered", slog.String("part", secretsPart), slog.Duration("after", time.Since(since).Round(time.Millisecond)))
	}
	r.tell(ctx, c)
}

// condition returns the trouble of the moment, the worst of all; nil when there is
// none. The caller holds mu.
func (r *rotation) condition() *pipeline.Condition {
	var worst *pipeline.Error
	for _, name := range slices.Sorted(maps.Keys(r.failing)) {
		if e := r.failing[name]; worst == nil || e.Class > worst.Class {
			worst = &e
		}
	}
	if worst == nil {
		return nil
	}
	told := *worst
	told.Op, told.Err = "", fmt.Errorf("%s: %w", worst.Op, worst.Err)
	return &pipeline.Condition{Part: secretsPart, Since: r.since, Failures: 1, Err: told}
}

// tell reports the trouble.
func (r *rotation) tell(ctx context.Context, c *pipeline.Condition) {
	if r.report != nil {
		r.report(ctx, secretsPart, c)
	}
}
