package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A ledgerFile is a file that the ledger of a destination is published to. Lines are
// only ever added. It is a ledger.Place.
type ledgerFile struct{ path string }

// newLedgerFile returns that of a destination within a directory.
func newLedgerFile(dir, tenant, destination string) *ledgerFile {
	return &ledgerFile{filepath.Join(dir, tenant, destination+".jsonl")}
}

// Name tells the file from other places.
func (f *ledgerFile) Name() string { return "file:" + f.path }

// Publish adds lines, and waits until they are on the disk.
func (f *ledgerFile) Publish(_ context.Context, list []ledger.Outgoing) (err error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o750); err != nil {
		return misplaced(fmt.Errorf("make the directory of the ledger: %w", err))
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640) //nolint:gosec // the operator names the directory, and auditors may be a group
	if err != nil {
		return misplaced(fmt.Errorf("open the file of the ledger: %w", err))
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := cutTorn(file); err != nil {
		return misplaced(err)
	}
	var text bytes.Buffer
	for _, o := range list {
		text.Write(append(o.Line, '\n'))
	}
	if _, err := file.Write(text.Bytes()); err != nil {
		return misplaced(fmt.Errorf("write the ledger: %w", err))
	}
	if err := file.Sync(); err != nil {
		return misplaced(fmt.Errorf("flush the ledger: %w", err))
	}
	return nil
}

// misplaced makes the error of a place that a person can mend.
func misplaced(err error) error {
	return &pipeline.Error{Op: "publish the ledger", Class: pipeline.Transient, Err: err, Hint: "Let the user that gapless runs as write to ledger.directory, and see to its room."}
}

// cutTorn takes away what a process that died has left of a line: the store has it whole.
func cutTorn(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the file of the ledger: %w", err)
	}
	if size == 0 {
		return nil
	}
	tail, from, err := tailOf(f, size)
	if err != nil {
		return err
	}
	if end := int64(bytes.LastIndexByte(tail, '\n')) + 1 + from; end < size {
		if err := f.Truncate(end); err != nil {
			return fmt.Errorf("take a torn line from the file of the ledger: %w", err)
		}
	}
	return nil
}

// tailOf reads the end of a file, more than a line is long, and says where it begins.
func tailOf(f *os.File, size int64) (tail []byte, from int64, err error) {
	const most = 2 << 20
	from = max(0, size-most)
	tail = make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return nil, 0, fmt.Errorf("read the file of the ledger: %w", err)
	}
	return tail, from, nil
}

// Head returns the last entry of the file.
func (f *ledgerFile) Head(context.Context) (h ledger.Head, found bool, err error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("open the file of the ledger: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return h, false, fmt.Errorf("read the file of the ledger: %w", err)
	}
	tail, _, err := tailOf(file, size)
	if err != nil {
		return h, false, err
	}
	for line := range bytes.Lines(tail) {
		if e, err := ledger.Parse(line); err == nil {
			h, found = e.Head(), true
		}
	}
	return h, found, nil
}

// readLines calls each for the lines of a text.
func readLines(r io.Reader, each func([]byte)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) > 0 {
			each(lines.Bytes())
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	return nil
}

// A ledgerStream is a log stream that the ledger of a destination is published to. It
// is a ledger.Place.
type ledgerStream struct {
	sink                *cloudwatch.Sink
	to                  pipeline.Destination
	tenant, destination string
}

// newLedgerStream makes one beside a destination.
func (a *App) newLedgerStream(ctx context.Context, cfg *config.Config, tenant string, w wanted) (*ledgerStream, error) {
	c := w.config()
	c.TooLarge, c.Linger = cloudwatch.DeadLetter, 0
	sink, err := cloudwatch.New(ctx, c, cloudwatch.Deps{ // its figures are those of no delivery
		Logger: a.opts.Logger, Registerer: prometheus.NewRegistry(), HTTPClient: a.opts.AWSHTTP, Credentials: a.opts.AWSCredentials, Tenant: tenant, Destination: w.name,
	})
	if err != nil {
		return nil, fmt.Errorf("set up CloudWatch Logs for the ledger: %w", err)
	}
	return &ledgerStream{
		sink: sink, to: pipeline.Destination{LogGroup: cfg.Ledger.DigestGroup(tenant, w.cw), LogStream: config.DigestStream},
		tenant: tenant, destination: nameOf(w.name),
	}, nil
}

// nameOf is the name of a destination in the ledger.
func nameOf(outlet string) string {
	if outlet == "" {
		return MainDestination
	}
	return outlet
}

// Name tells the stream from other places.
func (s *ledgerStream) Name() string {
	return "cloudwatch:" + s.to.LogGroup + ":" + s.to.LogStream
}

// errNotTaken says that CloudWatch Logs did not take an entry.
var errNotTaken = errors.New("CloudWatch Logs did not take all entries of the ledger")

// Publish sends entries, each as one log event of now.
func (s *ledgerStream) Publish(ctx context.Context, list []ledger.Outgoing) error {
	b := pipeline.Batch{Destination: s.to}
	now := time.Now()
	for i, o := range list {
		b.Events = append(b.Events, event.Event{Date: now.Add(time.Duration(i) * time.Millisecond), Raw: o.Line})
	}
	r, err := s.sink.Deliver(ctx, b)
	if err != nil {
		return err
	}
	if len(r.Rejected)+len(r.Retry) > 0 {
		return &pipeline.Error{Op: "publish the ledger", Class: pipeline.Transient, Err: errNotTaken}
	}
	return nil
}

// Head returns the last entry of the destination among the last of the stream.
func (s *ledgerStream) Head(ctx context.Context) (h ledger.Head, found bool, err error) {
	const look = 100 // other destinations may share the stream
	list, err := s.sink.Last(ctx, s.to, look)
	for _, m := range list {
		e, err := ledger.Parse(m.Message)
		if err == nil && e.Tenant == s.tenant && e.Destination == s.destination {
			h, found = e.Head(), true
		}
	}
	return h, found, err
}
