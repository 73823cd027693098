package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// A BackfillRequest is what a backfill is to bring.
type BackfillRequest struct {
	// ID names the backfill; see RequestBackfill.
	ID string `json:"id"`
	// Tenant is the name of a configured tenant that has a domain, and Destination that
	// of one of its destinations; empty for all. MainDestination is the main one.
	Tenant      string `json:"tenant"`
	Destination string `json:"destination,omitempty"`
	// Since and Until bound the dates of the events, inclusive.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Asked is how the span was written down, by which the same request is known again.
	Asked string `json:"asked,omitempty"`
	// LogGroup and LogStream are where the events go in the place of what the
	// configuration says; both or none.
	LogGroup  string `json:"log_group,omitempty"`
	LogStream string `json:"log_stream,omitempty"`
	// RateShare is the part of Auth0's rate limit that may be used; 0 is half of the
	// tenant's rate_share.
	RateShare   float64   `json:"rate_share,omitempty"`
	RequestedAt time.Time `json:"requested_at"`
}

// same reports whether two requests ask for the same, when that was written down.
func (r *BackfillRequest) same(o *BackfillRequest) bool {
	return r.Tenant == o.Tenant && r.Destination == o.Destination && r.LogGroup == o.LogGroup && r.LogStream == o.LogStream && r.Asked == o.Asked
}

// A BackfillPhase is where a backfill is.
type BackfillPhase string

// The phases, in their order; the last two are the end.
const (
	BackfillWaiting   BackfillPhase = "waiting"    // for its turn, or for a process
	BackfillLooking   BackfillPhase = "looking"    // reads what the destinations hold
	BackfillReading   BackfillPhase = "reading"    // reads Auth0 and stores what is missing
	BackfillSending   BackfillPhase = "delivering" // what is left in the buffer
	BackfillDone      BackfillPhase = "done"
	BackfillCancelled BackfillPhase = "cancelled"
)

// Ended reports whether nothing more happens.
func (p BackfillPhase) Ended() bool { return p == BackfillDone || p == BackfillCancelled }

// BackfillCounts are what became of the events that Auth0 holds of the span; those of
// delivery count each event once for each destination.
type BackfillCounts struct {
	// Read are the events of the span, and LeftOut those that a rule of the tenant has
	// left out. Unreadable are records that are no events, or could not be redacted.
	Read       int64 `json:"read"`
	LeftOut    int64 `json:"left_out"`
	Unreadable int64 `json:"unreadable"`
	// There were in the destination, Waiting in the buffer, and Letters are dead
	// letters. Left are brought by the export itself, which has not come to them yet.
	There   int64 `json:"there"`
	Waiting int64 `json:"waiting"`
	Letters int64 `json:"dead_letters"`
	Left    int64 `json:"left_to_export"`
	// Stored are new, for delivery; a dry run would store them. TooOld, of those, are
	// older than CloudWatch Logs takes, so that the rule too_old decides.
	Stored int64 `json:"stored"`
	TooOld int64 `json:"too_old"`
}

// A BackfillTrouble is what hinders a backfill.
type BackfillTrouble struct {
	Class   string `json:"class"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// NeedsPerson reports whether it will not pass by itself.
func (t *BackfillTrouble) NeedsPerson() bool {
	return t.Class == pipeline.Unauthorized.String() || t.Class == pipeline.Misconfigured.String()
}

// A BackfillState is a backfill and how far it is.
type BackfillState struct {
	BackfillRequest

	Phase  BackfillPhase  `json:"phase"`
	Counts BackfillCounts `json:"counts"`
	// Rejected are those of Stored that became dead letters, in the end.
	Rejected int64 `json:"rejected"`
	// Reached is the date up to which Auth0 was read, or the destinations in
	// BackfillLooking; zero before.
	Reached time.Time `json:"reached,omitzero"`
	// HeldSince is since when Auth0 surely keeps everything: what was before and is not
	// there cannot be had any more.
	HeldSince time.Time `json:"held_since,omitzero"`
	// Lost is up to when events may have expired in Auth0 while the backfill was
	// stopped; zero when none did.
	Lost      time.Time        `json:"lost_until,omitzero"`
	Began     time.Time        `json:"began,omitzero"` // reading Auth0, by the process of the moment
	BeganAt   time.Time        `json:"began_at_date,omitzero"`
	Ended     time.Time        `json:"ended,omitzero"`
	UpdatedAt time.Time        `json:"updated_at,omitzero"`
	Trouble   *BackfillTrouble `json:"trouble,omitempty"`
	// Cursor is where reading stands. Base are the rejected events of its sinks when it
	// began.
	Cursor event.Cursor `json:"cursor,omitempty"`
	Base   int64        `json:"rejected_before,omitempty"`
}

// Left estimates how long reading Auth0 still takes; 0 when that cannot be said.
func (s *BackfillState) Left(now time.Time) time.Duration {
	done, whole := s.Reached.Sub(s.BeganAt), s.Until.Sub(s.BeganAt)
	if s.Phase != BackfillReading || s.Began.IsZero() || done <= 0 || whole <= done {
		return 0
	}
	return time.Duration(float64(now.Sub(s.Began)) * float64(whole-done) / float64(done))
}

// Errors of backfills.
var (
	ErrNoBackfill = errors.New("there is no backfill of this id")
	errNoSuchPair = errors.New("name a log group and a log stream, without braces")
)

const (
	// backfillDir is where requests lie, in the data directory.
	backfillDir = "backfill"
	// backfillKey and an id are the key under which the state is kept.
	backfillKey = "backfill/"
	// backfillsKept is how many backfills that have ended are remembered, of a tenant.
	backfillsKept = 20
	// requestMost bounds what is read of a request.
	requestMost = 1 << 16
)

// RequestBackfill asks the process that works in the data directory, or the next one,
// for a backfill. One that asks for the same and has not ended is taken up instead, and
// its state returned.
func RequestBackfill(ctx context.Context, cfg *config.Config, want BackfillRequest) (_ BackfillState, again bool, err error) {
	if err := checkBackfill(cfg, &want); err != nil {
		return BackfillState{}, false, err
	}
	list, err := Backfills(ctx, cfg)
	if err != nil {
		return BackfillState{}, false, err
	}
	for _, s := range list {
		if !s.Phase.Ended() && s.same(&want) {
			return s, true, nil
		}
	}
	random := make([]byte, 3)
	_, _ = rand.Read(random) // it never fails
	want.RequestedAt = time.Now().UTC()
	want.ID = want.RequestedAt.Format("20060102-150405-") + hex.EncodeToString(random)
	return BackfillState{BackfillRequest: want, Phase: BackfillWaiting}, false, writeRequest(cfg.DataDir, &want)
}

// checkBackfill refuses a request that can never be done.
func checkBackfill(cfg *config.Config, want *BackfillRequest) error {
	wrong := func(err error, hint string) error {
		return &pipeline.Error{Op: "backfill", Class: pipeline.Misconfigured, Err: err, Hint: hint}
	}
	i := slices.IndexFunc(cfg.Tenants, func(t config.Tenant) bool { return t.Name == want.Tenant })
	if i < 0 || !cfg.Tenants[i].Polls() {
		return wrong(fmt.Errorf("tenant %s: %w", want.Tenant, errNoDomain), "Set domain, client_id and client_secret of the tenant.")
	}
	if len(backfillsTo(cfg, &cfg.Tenants[i], want)) == 0 {
		return wrong(fmt.Errorf("%q: %w", want.Destination, errNoDestination), "Name one of destinations, or "+MainDestination+" for the main one.")
	}
	if (want.LogGroup == "") != (want.LogStream == "") || strings.ContainsAny(want.LogGroup+want.LogStream, "{}") {
		return wrong(errNoSuchPair, "Write --to GROUP/STREAM, such as --to /auth0/history/logs.")
	}
	return nil
}

// backfillsTo lists where the events of a backfill go. A place of its own is reached by
// the main destination, unless another one is named.
func backfillsTo(cfg *config.Config, t *config.Tenant, of *BackfillRequest) (list []wanted) {
	for _, w := range wantedOf(cfg, t) {
		main := w.name == ""
		switch {
		case of.Destination == "" && (main || of.LogGroup == ""), of.Destination == MainDestination && main, of.Destination != "" && w.name == of.Destination:
		default:
			continue
		}
		if of.LogGroup != "" {
			cw := *w.cw
			cw.LogGroup, cw.LogStream = of.LogGroup, of.LogStream
			w.cw = &cw
		}
		list = append(list, w)
	}
	return list
}

// requestPath is where a request lies, or with another ending what is said of it.
func requestPath(dir, id, ending string) string { return filepath.Join(dir, backfillDir, id+ending) }

// writeRequest writes a request, at once and whole.
func writeRequest(dir string, r *BackfillRequest) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, backfillDir), 0o700)
	}
	path := requestPath(dir, r.ID, ".json")
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return &pipeline.Error{
			Op: "ask for a backfill", Class: pipeline.Misconfigured, Err: err,
			Hint: fmt.Sprintf("Run it as the user that gapless runs as, who may write to %s.", dir),
		}
	}
	return nil
}

// readRequests reads the requests that have not ended, the oldest first.
func readRequests(dir string) (list []BackfillRequest, err error) {
	names, err := filepath.Glob(requestPath(dir, "*", ".json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := readMost(name, requestMost)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var r BackfillRequest
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil || r.ID != strings.TrimSuffix(filepath.Base(name), ".json") {
			continue // it is no request
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b BackfillRequest) int {
		return cmp.Or(a.RequestedAt.Compare(b.RequestedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// readMost reads a small file.
func readMost(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fs.ErrInvalid
	}
	return os.ReadFile(path) //nolint:gosec // the operator names the directory
}

// cancelled reports whether somebody has cancelled a request.
func cancelled(dir, id string) bool {
	_, err := os.Stat(requestPath(dir, id, ".cancel"))
	return err == nil
}

// Backfills lists the backfills of a data directory, the oldest first. It reads beside a
// process that works in it.
func Backfills(ctx context.Context, cfg *config.Config) (list []BackfillState, err error) {
	r, err := store.OpenReadOnly(ctx, cfg.DataDir)
	switch {
	case errors.Is(err, store.ErrNoData):
		return readBackfills(ctx, nil, cfg.DataDir)
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return readBackfills(ctx, r, cfg.DataDir)
}

// readBackfills puts the requests and the states together; without a reader there are
// no states.
func readBackfills(ctx context.Context, r *store.Reader, dir string) (list []BackfillState, err error) {
	requests, err := readRequests(dir)
	if err != nil {
		return nil, err
	}
	var saved []store.SavedValue
	if r != nil {
		if saved, err = r.SavedUnder(ctx, backfillKey); err != nil {
			return nil, err
		}
	}
	for _, v := range saved {
		var s BackfillState
		if json.Unmarshal(v.Value, &s) == nil {
			list = append(list, s)
		}
	}
	for _, q := range requests {
		i := slices.IndexFunc(list, func(s BackfillState) bool { return s.ID == q.ID })
		if i < 0 {
			list, i = append(list, BackfillState{BackfillRequest: q, Phase: BackfillWaiting}), len(list)
		}
		if cancelled(dir, q.ID) && !list[i].Phase.Ended() {
			list[i].Phase = BackfillCancelled
		}
	}
	slices.SortStableFunc(list, func(a, b BackfillState) int {
		return cmp.Or(a.RequestedAt.Compare(b.RequestedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// CancelBackfill ends a backfill: at once if a process works in the data directory, or
// when the next one starts. What it has stored is delivered.
func CancelBackfill(ctx context.Context, cfg *config.Config, id string) (BackfillState, error) {
	list, err := Backfills(ctx, cfg)
	if err != nil {
		return BackfillState{}, err
	}
	i := slices.IndexFunc(list, func(s BackfillState) bool { return s.ID == id })
	if i < 0 {
		return BackfillState{}, fmt.Errorf("%q: %w", id, ErrNoBackfill)
	}
	if list[i].Phase.Ended() {
		return list[i], nil
	}
	if err := os.WriteFile(requestPath(cfg.DataDir, id, ".cancel"), nil, 0o600); err != nil {
		return BackfillState{}, fmt.Errorf("cancel the backfill: %w", err)
	}
	list[i].Phase = BackfillCancelled
	return list[i], nil
}

// forgetRequest removes a request that has ended.
func forgetRequest(dir, id string) error {
	var errs []error
	for _, ending := range []string{".json", ".cancel"} {
		if err := os.Remove(requestPath(dir, id, ending)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, os.RemoveAll(requestPath(dir, id, ".work")))...)
}

// InUse reports whether a process works in the data directory of a configuration.
func InUse(cfg *config.Config) (bool, error) { return store.InUse(cfg.DataDir) }
