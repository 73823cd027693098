package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Deps are what the sink needs from the program.
type Deps struct {
	// Logger is required.
	Logger *slog.Logger
	// Registerer takes the metrics; required.
	Registerer prometheus.Registerer
	// HTTPClient makes the calls to CloudWatch Logs and STS; nil for the SDK's
	// own, which honours the usual variables for proxies and certificates.
	HTTPClient aws.HTTPClient
	// Credentials take the place of the standard credential chain; may be nil.
	Credentials aws.CredentialsProvider
	// Tenant is the value of the label "tenant" and part of the session name of
	// an assumed role.
	Tenant string
	// Destination is the value of the label "destination" of one that a tenant has
	// besides its main one; empty for the main one.
	Destination string
	// OnCall hears of each call to CloudWatch Logs, and of each look for what has arrived,
	// when it is over, with the context of Deliver or one made of it; it must be quick.
	// May be nil.
	OnCall func(ctx context.Context, c Call)
}

// A Call is one to CloudWatch Logs that is over.
type Call struct {
	// Op is the operation, such as "PutLogEvents", or LookUp.
	Op    string
	Began time.Time
	Took  time.Duration
	// Status is the HTTP status of a refusal; 0 when there was no answer, or a good one.
	Status int
	// Err says that it has failed.
	Err error
}

// LookUp is the Op of a look for what has arrived of a batch in doubt: some calls of
// GetLogEvents and the waits between them.
const LookUp = "look up"

// called tells of a call, or of a look.
func (s *Sink) called(ctx context.Context, op string, began time.Time, err error) {
	if s.onCall == nil {
		return
	}
	c := Call{Op: op, Began: began, Took: time.Since(began), Err: err}
	if f, ok := errors.AsType[*failure](err); ok {
		c.Status = f.status
	}
	s.onCall(ctx, c)
}

// Sink delivers one tenant's batches to CloudWatch Logs. It is safe for
// concurrent use and owns no goroutines; idle connections belong to the client.
type Sink struct {
	config  Config
	region  string
	client  *logs.Client
	logger  *slog.Logger
	metrics *metrics
	windows windows
	clock   clock
	bodies  bodies
	gzip    atomic.Int32 // what is known of the endpoint: gzipUnknown, …
	targets targets
	onCall  func(context.Context, Call) // nil for nobody

	readable readable
}

var _ pipeline.Sink = (*Sink)(nil)

// New makes a sink. It loads the AWS configuration but makes no call to
// CloudWatch Logs; use Check for that. Errors are of class Misconfigured and
// say what to write instead.
func New(ctx context.Context, c Config, d Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, &pipeline.Error{Op: "configure CloudWatch Logs", Class: pipeline.Misconfigured, Err: err}
	}
	c = c.filled()
	client, region, err := newClient(ctx, c, d)
	if err != nil {
		return nil, err
	}
	s := &Sink{config: c, region: region, client: client, logger: d.Logger, metrics: newMetrics(d.Registerer, d.Tenant, d.Destination), targets: newTargets(), onCall: d.OnCall}
	if c.Compression == CompressNone {
		s.gzip.Store(gzipOff)
	}
	return s, nil
}

// Region returns the AWS Region of the log groups.
func (s *Sink) Region() string { return s.region }

// Limits returns what a batch may hold at this moment.
func (s *Sink) Limits() pipeline.Limits {
	return batchLimits(s.windows.widest(s.clock.now()), s.config.Linger)
}

// batchLimits returns what a batch may hold within a window.
func batchLimits(w window, linger time.Duration) pipeline.Limits {
	return pipeline.Limits{
		MaxEvents: MaxBatchEvents, MaxBytes: MaxBatchBytes, EventOverhead: EventOverhead, MaxSpan: maxSpan,
		Oldest: w.oldest, Newest: w.newest, Linger: linger,
	}
}

// Deliver sends a batch and says what became of its events. It may take several
// calls: the batch is split where it breaks a limit, a destination that is
// missing is made, a part that is refused is halved until the event at fault
// stands alone.
//
// An error is a *pipeline.Error with its class. It means that no event is known
// to have been stored; after a fault of the network or an answer 5xx the outcome
// is unknown. When a part was stored and a later one failed, there is no error:
// the events without an outcome are in Receipt.Retry.
func (s *Sink) Deliver(ctx context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	if len(b.Events) == 0 {
		return pipeline.Receipt{}, nil
	}
	if err := validDestination(b.Destination); err != nil {
		return pipeline.Receipt{}, err
	}
	began := time.Now()
	d := &delivery{sink: s, dest: b.Destination, now: s.clock.now(), fates: make([]fate, len(b.Events))}
	d.window = s.windows.at(b.Destination.LogGroup, d.now)
	draft := prepare(b, s.config, d.window)
	if err := d.notArrived(ctx, b, &draft); err != nil {
		return pipeline.Receipt{}, err
	}
	for _, part := range split(d.unsent(draft.items)) {
		if err := d.part(ctx, part); err != nil {
			err = s.explain("deliver to", b.Destination, err)
			if d.stored == 0 {
				return pipeline.Receipt{}, err
			}
			if pipeline.Classify(err).OutcomeUnknown {
				d.doubt = pipeline.Doubt{From: began, Until: time.Now()}
			}
			s.logger.LogAttrs(ctx, slog.LevelDebug, "part of a batch goes again",
				slog.String("log_group", b.Destination.LogGroup), slog.Int("stored", d.stored), slog.Any("error", err))
			break
		}
	}
	return d.receipt(draft), nil
}

// notArrived leaves in a draft what is to be sent: all of it, but where the batch
// is in doubt what is not found to have arrived. What has become too old or too
// new since it was sent may have arrived as well.
func (d *delivery) notArrived(ctx context.Context, b pipeline.Batch, from *draft) error {
	if b.Doubt.IsZero() {
		return nil
	}
	began := time.Now()
	found, err := d.lookUp(ctx, b.Doubt, append(slices.Clip(from.items), d.outside(b, *from)...))
	d.sink.called(ctx, LookUp, began, err)
	if err != nil {
		return d.sink.explain("look up what has arrived in", d.dest, err)
	}
	for i, print := range found {
		d.fates[i] = fate{stored: true, found: true, print: print}
	}
	d.stored += len(found)
	from.rejected = slices.DeleteFunc(from.rejected, func(r pipeline.Rejection) bool { return d.fates[r.Index].found })
	return nil
}

// outside returns as items what a draft rejects for its date.
func (d *delivery) outside(b pipeline.Batch, from draft) []item {
	var list []item
	for _, r := range from.rejected {
		if r.Reason != reasonTooOld && r.Reason != reasonTooNew {
			continue
		}
		e := b.Events[r.Index]
		if message, _, rejected := text(e.Raw, d.sink.config.TooLarge); rejected.Reason == "" {
			list = append(list, item{index: r.Index, at: e.Date.UnixMilli(), message: message, date: e.Date})
		}
	}
	return list
}

// unsent returns the items of a draft that are not known to have arrived.
func (d *delivery) unsent(items []item) []item {
	if d.stored == 0 {
		return items
	}
	return slices.DeleteFunc(slices.Clone(items), func(it item) bool { return d.fates[it.index].stored })
}

// validDestination refuses names that CloudWatch Logs can never take.
func validDestination(dest pipeline.Destination) error {
	err := ValidGroup(dest.LogGroup)
	if err == nil {
		err = ValidStream(dest.LogStream)
	}
	if err == nil {
		return nil
	}
	return &pipeline.Error{
		Op: fmt.Sprintf("deliver to %q", name(dest)), Class: pipeline.Misconfigured, Err: err,
		Hint: "Correct log_group and log_stream in the configuration.",
	}
}
