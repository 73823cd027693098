package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// A State is where a chain stands.
type State struct {
	// Head is the last entry; its Seq is -1 before the first.
	Head Head
	// Began is when the chain was begun.
	Began time.Time
	// SealedUntil is the first hour that is not sealed. While Whole is set there is none
	// yet, and every hour will be whole, however old.
	SealedUntil Hour
	Whole       bool
}

// A Sealing is what becomes durable at once.
type Sealing struct {
	Entries []Entry
	// SealedUntil and Whole are as in State, afterwards.
	SealedUntil Hour
	Whole       bool
	// Leaves of this hour are in the entries, up to the row LastLeaf; 0 for none.
	Leaves   Hour
	LastLeaf int64
}

// An Outgoing is an entry to be published.
type Outgoing struct {
	N    int64
	Line []byte
}

// A Book is the ledger of a tenant and destination on disk.
type Book interface {
	// State returns where the chain stands.
	State(ctx context.Context) (State, error)
	// OpenHours returns the hours of which leaves are in no entry, ascending.
	OpenHours(ctx context.Context) ([]Hour, error)
	// DeliveredUntil returns up to when, in microseconds since 1970, everything that the
	// sources have read is delivered.
	DeliveredUntil(ctx context.Context, sources ...string) (micros int64, err error)
	// Leaves calls each for those leaves, with log group and stream, up to some; 0 is all.
	Leaves(ctx context.Context, hour Hour, most int64, each func(Leaf, [2]string) error) (last int64, err error)
	// Seal appends to the chain, unless it has moved on.
	Seal(ctx context.Context, from Head, s Sealing) error
	// Last returns the last entry of any other chain.
	Last(ctx context.Context, but string) (Head, bool, error)
	// Unpublished returns entries that a place does not have, in order, and how many.
	Unpublished(ctx context.Context, place string, bytes int) ([]Outgoing, int64, error)
	// Published notes that a place has all entries up to one.
	Published(ctx context.Context, place string, n int64) error
}

// A Place is where entries are published.
type Place interface {
	// Name tells it from others; what was published is kept under it.
	Name() string
	// Publish adds entries, of which some may be there already.
	Publish(ctx context.Context, list []Outgoing) error
	// Head returns the last entry that is there.
	Head(ctx context.Context) (Head, bool, error)
}

// Config is what a Keeper works with.
type Config struct {
	Tenant, Destination string
	Book                Book
	// SealAfter is how long after its end an hour is sealed.
	SealAfter time.Duration
	// Sources are those that tell how far they have read.
	Sources []string
	// Key returns the key of the moment; nil for entries that are not signed.
	Key    func() *Key
	Places []Place
	// Dir is where temporary files lie; empty for that of the system. Memory bounds the
	// leaves in memory, in bytes; 0 is 8 MiB.
	Dir    string
	Memory int
	// OnSealed hears of entries, OnPublished of each attempt to publish, with how many
	// are left; both may be nil.
	OnSealed    func(entries int, until time.Time)
	OnPublished func(place string, left int64, err error)
}

// Bounds of late entries: they must fit into a message of CloudWatch Logs, which is
// 1 MiB, and into little memory.
const (
	lateLeaves = 4000
	lateBytes  = 640 << 10
	lateRead   = 20_000
	sendBytes  = 700 << 10
	// searching is how long a new chain waits for a place that does not answer.
	searching = time.Hour
)

// A Keeper seals hours and publishes entries. Its methods are for one goroutine.
type Keeper struct {
	cfg    Config
	lateAt time.Time // when late events were sealed last
}

// NewKeeper returns a keeper.
func NewKeeper(c Config) *Keeper {
	if c.Memory == 0 {
		c.Memory = 8 << 20
	}
	if c.Key == nil {
		c.Key = func() *Key { return nil }
	}
	return &Keeper{cfg: c}
}

// Pass seals what is due at a time, and publishes what is sealed. What fails is tried
// again by the next pass.
func (k *Keeper) Pass(ctx context.Context, now time.Time) error {
	err := k.seal(ctx, now)
	for _, p := range k.cfg.Places {
		err = errors.Join(err, k.publish(ctx, p))
	}
	return err
}

// A sealer is the sealing of a pass under way.
type sealer struct {
	*Keeper

	State
	now time.Time
}

// seal makes the entries that are due.
func (k *Keeper) seal(ctx context.Context, now time.Time) error {
	state, err := k.cfg.Book.State(ctx)
	if err != nil {
		return err
	}
	s := &sealer{k, state, now.UTC().Truncate(time.Second)}
	if s.Head.Seq < 0 {
		if err := s.start(ctx); err != nil {
			return fmt.Errorf("begin a chain of the ledger: %w", err)
		}
	}
	delivered, err := k.cfg.Book.DeliveredUntil(ctx, k.cfg.Sources...)
	if err != nil {
		return err
	}
	limit := min(HourOf(now.Add(-k.cfg.SealAfter).UnixMilli()), HourOf(delivered/1000))
	hours, err := k.cfg.Book.OpenHours(ctx)
	if err != nil {
		return err
	}
	if s.Whole {
		s.SealedUntil = HourOf(s.Began.UnixMilli())
		if len(hours) > 0 {
			s.SealedUntil = min(s.SealedUntil, hours[0])
		}
	}
	return s.hours(ctx, hours, limit)
}

// hours seals hours before a limit, of which some have leaves.
func (s *sealer) hours(ctx context.Context, hours []Hour, limit Hour) error {
	sealed := s.SealedUntil
	late := s.now.Sub(s.lateAt) >= s.cfg.SealAfter || limit > sealed
	for _, h := range hours {
		switch {
		case h < sealed && late:
			if err := s.late(ctx, h); err != nil {
				return fmt.Errorf("seal late events: %w", err)
			}
			s.lateAt = s.now
		case h >= sealed && h < limit:
			if err := s.quiet(ctx, h); err != nil {
				return err
			}
			if err := s.full(ctx, h); err != nil {
				return fmt.Errorf("seal an hour: %w", err)
			}
		}
	}
	return s.quiet(ctx, limit)
}

// entry begins an entry of some hours.
func (s *sealer) entry(kind Kind, from, until Hour) Entry {
	return Entry{
		Kind: kind, Tenant: s.cfg.Tenant, Destination: s.cfg.Destination, Chain: s.Head.Chain, Seq: s.Head.Seq + 1,
		From: from.Begin(), Until: until.Begin(), SealedAt: s.now, Previous: s.Head.Hash,
	}
}

// append makes entries durable; each is sealed behind the one before.
func (s *sealer) append(ctx context.Context, list []Entry, until Hour, whole bool, leaves Hour, last int64) error {
	head := s.Head
	for i := range list {
		e := &list[i]
		e.Seq, e.Previous = head.Seq+1, head.Hash
		e.Seal(s.cfg.Key())
		head = e.Head()
	}
	if err := s.cfg.Book.Seal(ctx, s.Head, Sealing{Entries: list, SealedUntil: until, Whole: whole, Leaves: leaves, LastLeaf: last}); err != nil {
		return err
	}
	s.Head, s.SealedUntil, s.Whole = head, until, whole
	if s.cfg.OnSealed != nil {
		at := until.Begin()
		if whole {
			at = time.Time{}
		}
		s.cfg.OnSealed(len(list), at)
	}
	return nil
}

// start begins the chain, behind one that ended if there is one.
func (s *sealer) start(ctx context.Context) error {
	e := s.entry(Start, 0, 0)
	e.From, e.Until = time.Time{}, time.Time{}
	if !s.Whole {
		e.From = s.SealedUntil.Begin()
	}
	for _, p := range s.cfg.Places {
		h, found, err := p.Head(ctx)
		if err != nil {
			if s.now.Sub(s.Began) < searching {
				return fmt.Errorf("look for the last entry in %s: %w", p.Name(), err)
			}
			e.Note = "a place could not be asked for the last entry of an earlier chain"
		}
		if found && h.Chain != s.Head.Chain {
			e.Continues = &h
			break
		}
	}
	if e.Continues == nil {
		h, found, err := s.cfg.Book.Last(ctx, s.Head.Chain)
		if err != nil {
			return err
		}
		if found {
			e.Continues = &h
		}
	}
	switch {
	case e.Continues != nil:
		e.Note = "an earlier chain has ended: the ledger was off, or the store was restored"
	case e.Note == "" && s.Whole:
		e.Note = "the first delivery"
	case e.Note == "":
		e.Note = "events were delivered before, and no earlier chain is known"
	}
	return s.append(ctx, []Entry{e}, s.SealedUntil, s.Whole, 0, 0)
}

// quiet seals the hours from the last one sealed up to another in which nothing was
// delivered.
func (s *sealer) quiet(ctx context.Context, until Hour) error {
	if until <= s.SealedUntil {
		return nil
	}
	e := s.entry(Quiet, s.SealedUntil, until)
	e.Digest = newDigest().hex()
	if err := s.append(ctx, []Entry{e}, until, false, 0, 0); err != nil {
		return fmt.Errorf("seal quiet hours: %w", err)
	}
	return nil
}

// full seals an hour.
func (s *sealer) full(ctx context.Context, h Hour) (err error) {
	dir, err := os.MkdirTemp(s.cfg.Dir, "gapless-ledger-*")
	if err != nil {
		return fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	leaves := newLeaves(dir, s.cfg.Memory)
	places := make(placeSet)
	last, err := s.cfg.Book.Leaves(ctx, h, 0, func(l Leaf, place [2]string) error {
		places.add(place)
		return leaves.add(&l, "")
	})
	if err != nil {
		return errors.Join(err, leaves.close())
	}
	d := newDigest()
	if err := leaves.each(func(l Leaf, _ int) error { d.add(&l); return nil }); err != nil {
		return err
	}
	e := s.entry(Full, h, h+1)
	e.take(d, places)
	return s.append(ctx, []Entry{e}, h+1, false, h, last)
}

// take fills in what a digest and the places say.
func (e *Entry) take(d *digest, places placeSet) {
	e.Count, e.Digest, e.Places = d.count, d.hex(), places.list()
	if d.count > 0 {
		e.FirstID, e.LastID, e.FirstAt, e.LastAt = d.firstID, d.lastID, d.firstAt, d.lastAt
	}
}

// late seals events of an hour that is sealed already, some at a time.
func (s *sealer) late(ctx context.Context, h Hour) error {
	for {
		var list []Leaf
		places := make(placeSet)
		last, err := s.cfg.Book.Leaves(ctx, h, lateRead, func(l Leaf, place [2]string) error {
			places.add(place)
			list = append(list, l)
			return nil
		})
		if err != nil || last == 0 {
			return err
		}
		var entries []Entry
		for _, part := range cutLate(list) {
			d, e := newDigest(), s.entry(Late, h, h+1)
			for i := range part {
				d.add(&part[i])
			}
			e.Leaves = part
			e.take(d, places)
			entries = append(entries, e)
		}
		if err := s.append(ctx, entries, s.SealedUntil, s.Whole, h, last); err != nil {
			return err
		}
		if len(list) < lateRead {
			return nil
		}
	}
}

// publish sends to a place what it does not have.
func (k *Keeper) publish(ctx context.Context, p Place) error {
	for {
		list, left, err := k.cfg.Book.Unpublished(ctx, p.Name(), sendBytes)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			k.published(p, 0, nil)
			return nil
		}
		err = p.Publish(ctx, list)
		if err == nil {
			err = k.cfg.Book.Published(ctx, p.Name(), list[len(list)-1].N)
		}
		if err != nil {
			k.published(p, left, err)
			return fmt.Errorf("publish the ledger to %s: %w", p.Name(), err)
		}
		k.published(p, left-int64(len(list)), nil)
	}
}

// published tells how publishing went.
func (k *Keeper) published(p Place, left int64, err error) {
	if k.cfg.OnPublished != nil {
		k.cfg.OnPublished(p.Name(), left, err)
	}
}
