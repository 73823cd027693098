package source

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// LogsAPI is what Poll needs of Auth0; *auth0.Client is one.
type LogsAPI interface {
	// Logs fetches the events behind a log_id, in the order of log_id.
	Logs(ctx context.Context, from string, take int) (auth0.Answer, error)
	// Search fetches a page of a search.
	Search(ctx context.Context, q auth0.SearchQuery) (auth0.Answer, error)
}

// Defaults of PollConfig.
const (
	// DefaultInterval is how long a poll waits when it has caught up.
	DefaultInterval = time.Second
	// DefaultOverlap is how far back late events are looked for.
	DefaultOverlap = 30 * time.Second
	// DefaultOverlapEvery is how many polls lie between two such looks.
	DefaultOverlapEvery = 10
	// DefaultRetention is the shortest time for which Auth0 keeps an event, that
	// of its free plan.
	DefaultRetention = 24 * time.Hour
)

// PollConfig says how to read a tenant's log.
type PollConfig struct {
	// StartFrom is where to begin when there is no cursor.
	StartFrom StartFrom
	// Interval is how long to wait when there is nothing new; the default is a
	// second. The rate limit may demand longer waits.
	Interval time.Duration
	// Hurry, when not nil, is asked now and then whether to wait no longer than
	// DefaultInterval for the time being, whatever Interval says.
	Hurry func() bool
	// Overlap is how far back the log is read again, to catch events that Auth0
	// lists late; 0 turns it off.
	Overlap time.Duration
	// OverlapEvery is the number of polls without news between two such
	// readings; the default is 10.
	OverlapEvery int
	// Take is the number of events to ask for at once; the default and the most
	// is 100.
	Take int
	// Retention is how long Auth0 keeps an event of the tenant; the default is
	// the shortest of its plans, a day.
	Retention time.Duration
}

// DefaultPollConfig returns the defaults, overlap included.
func DefaultPollConfig() PollConfig {
	return PollConfig{
		Interval: DefaultInterval, Overlap: DefaultOverlap,
		OverlapEvery: DefaultOverlapEvery, Take: auth0.MaxTake,
	}
}

// Deps are what a source works with besides its configuration.
type Deps struct {
	// Logger hears of what a person would want to know; nil discards it.
	Logger *slog.Logger
	// Mark returns what the pages on disk say was read, the zero Mark when they
	// say nothing; nil for a source that never ran before. With it a restart
	// knows whether something may be missing behind the cursor.
	Mark func(context.Context) (event.Mark, error)
}

// Poll reads a tenant's log by checkpoint. It is a pipeline.Source; its Run must
// not be called while another one is under way.
type Poll struct {
	cfg    PollConfig
	api    LogsAPI
	logger *slog.Logger
	onDisk func(context.Context) (event.Mark, error) // the mark of the last page stored

	// What follows is known from earlier runs of this process.
	known *recent    // log_ids that are on disk or about to be
	late  *overlap   // where to look for late events
	last  lastEvent  // the event behind which the cursor stands
	mark  event.Mark // what has been read, and is on disk
	since time.Time  // events before it do not count, as the start says
	kept  oldestKept // the oldest event that Auth0 has, as last seen
}

// lastEvent is what is known of the event that a cursor names.
type lastEvent struct {
	id     string
	date   time.Time
	oldest time.Time // the oldest date on its page
}

var _ pipeline.Source = (*Poll)(nil)

// NewPoll makes a source that reads through api. Fields of cfg that are zero get
// their defaults, but for Overlap.
func NewPoll(cfg PollConfig, api LogsAPI, deps Deps) *Poll {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.OverlapEvery <= 0 {
		cfg.OverlapEvery = DefaultOverlapEvery
	}
	if cfg.Take <= 0 || cfg.Take > auth0.MaxTake {
		cfg.Take = auth0.MaxTake
	}
	if cfg.Retention <= 0 {
		cfg.Retention = DefaultRetention
	}
	if deps.Mark == nil {
		deps.Mark = func(context.Context) (event.Mark, error) { return event.Mark{}, nil }
	}
	logger := deps.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Poll{cfg: cfg, api: api, logger: logger, onDisk: deps.Mark, known: newRecent(), late: &overlap{window: cfg.Overlap}}
}

// PollName is the name of the source that polls; its cursor is kept under it.
const PollName = "poll"

// Name returns PollName.
func (p *Poll) Name() string { return PollName }

// Run implements pipeline.Source. It returns at the first error: it tries
// nothing again but a smaller page where one is too large.
func (p *Poll) Run(ctx context.Context, from event.Cursor, emit pipeline.Emit) error {
	r := &reader{Poll: p, emit: emit, stored: from, take: p.cfg.Take}
	err := r.run(ctx, from)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return classify(err)
}

// reader is one run of a Poll.
type reader struct {
	*Poll

	emit   pipeline.Emit
	stored event.Cursor // as the last page left it
	read   event.Mark   // what has been read, on disk or about to be
	sizes  sizes
	take   int           // events to ask for; fewer after a page was too large
	fresh  bool          // nothing has been read since the last seed
	edge   time.Duration // the age of the oldest event at the last seed
	seeds  int           // how often that event has vanished since something was read
	trail  trail
	stuck  stuck
}

// run reads from a cursor until an error. A cursor that Auth0 refuses leads to
// another seed.
func (r *reader) run(ctx context.Context, from event.Cursor) error {
	at, err := r.begin(ctx, from)
	if err != nil {
		return err
	}
	if err := r.resume(ctx, at); err != nil {
		return err
	}
	for {
		var first *fetched
		if at.id == "" {
			if at, first, err = r.seed(ctx, at); err != nil {
				return err
			}
		}
		at, err = r.follow(ctx, at, first)
		if at, err = r.recover(ctx, at, err); err != nil {
			return err
		}
	}
}

// classify says what an error means to the loop that runs the source.
func classify(err error) error {
	if told, ok := errors.AsType[*pipeline.Error](err); ok && told.Class == pipeline.Misconfigured {
		return err
	}
	e, ok := errors.AsType[*auth0.Error](err)
	if !ok {
		return err
	}
	class := pipeline.Transient
	switch e.Kind {
	case auth0.Throttled:
		class = pipeline.Throttled
	case auth0.Unauthorized, auth0.Forbidden:
		class = pipeline.Unauthorized
	case auth0.Misconfigured:
		class = pipeline.Misconfigured
	case auth0.Transient, auth0.BadCursor, auth0.BadRequest, auth0.NotFound, auth0.Conflict:
	}
	return &pipeline.Error{Class: class, RetryAfter: e.RetryAfter, Hint: e.Hint, Err: err}
}

// kindOf returns the kind of an error of the API.
func kindOf(err error) (auth0.Kind, bool) {
	e, ok := errors.AsType[*auth0.Error](err)
	if !ok {
		return 0, false
	}
	return e.Kind, true
}

// isKind reports whether err is an error of the API of a certain kind.
func isKind(err error, want auth0.Kind) bool {
	k, ok := kindOf(err)
	return ok && k == want
}
