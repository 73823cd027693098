package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gaplesslogs/gapless/internal/ledger"
)

// A Ledger is that of a tenant and sink.
type Ledger struct {
	buffer *Buffer
	sink   string
}

// isNoRows reports whether a query has found nothing.
func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// KeepLedger begins to write down what is delivered by a sink, in the transaction that
// settles it, or goes on with it. A chain that was not begun yet begins here: if
// nothing was delivered before, all hours of it are whole, and otherwise those after
// the hour of now. It is called before the first delivery.
func (b *Buffer) KeepLedger(ctx context.Context, sink string) (*Ledger, error) {
	err := b.write(ctx, "begin the ledger", func(ctx context.Context, t *tx) error { return b.beginChain(ctx, t, sink) })
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledgers[sink] = true
	return &Ledger{b, sink}, nil
}

// beginChain makes the row of a chain if there is none.
func (b *Buffer) beginChain(ctx context.Context, t *tx, sink string) error {
	there, delivered := 0, int64(0)
	err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&there) }, "SELECT count(*) FROM ledger_chains WHERE tenant_id = ? AND sink = ?", b.id, sink)
	if err != nil || there > 0 {
		return err
	}
	err = t.query(ctx, func(r *sql.Rows) error { return r.Scan(&delivered) },
		"SELECT coalesce(sum(n), 0) FROM totals WHERE tenant_id = ? AND name = ?", b.id, countOf(CountDelivered, sink))
	if err != nil {
		return err
	}
	sealed := int64(-1)
	if delivered > 0 || !b.restored.IsZero() {
		sealed = int64(ledger.HourOf(t.now.UnixMilli())) + 1
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return t.exec(ctx, "INSERT INTO ledger_chains (tenant_id, sink, chain, began_at, seq, hash, sealed_until) VALUES (?, ?, ?, ?, -1, '', ?)",
		b.id, sink, hex.EncodeToString(id[:]), t.now.UnixMicro(), sealed)
}

// EndLedger ends the chain of a sink whose deliveries are not written down any more:
// what is delivered from now on is in no entry, so a chain that went on later would be
// wrong. The entries stay.
func (b *Buffer) EndLedger(ctx context.Context, sink string) error {
	b.mu.Lock()
	b.ledgers[sink] = false
	b.mu.Unlock()
	return b.write(ctx, "end the ledger", func(ctx context.Context, t *tx) error {
		if err := t.exec(ctx, "DELETE FROM ledger_leaves WHERE tenant_id = ? AND sink = ?", b.id, sink); err != nil {
			return err
		}
		return t.exec(ctx, "DELETE FROM ledger_chains WHERE tenant_id = ? AND sink = ?", b.id, sink)
	})
}

// State returns where the chain stands.
func (l *Ledger) State(ctx context.Context) (s ledger.State, err error) {
	b := l.buffer
	var sealed, began int64
	err = b.store.db.QueryRowContext(ctx, "SELECT chain, began_at, seq, hash, sealed_until FROM ledger_chains WHERE tenant_id = ? AND sink = ?", b.id, l.sink).
		Scan(&s.Head.Chain, &began, &s.Head.Seq, &s.Head.Hash, &sealed)
	if err != nil {
		return s, b.readFault(ctx, "read the ledger", err)
	}
	s.Began, s.SealedUntil, s.Whole = timeOf(began), ledger.Hour(sealed), sealed < 0
	return s, nil
}

// ErrMoved says that the chain has moved on since it was looked at.
var ErrMoved = errors.New("the chain of the ledger has moved on")

// Seal appends entries to the chain, in one transaction with all that follows from
// them, unless it has moved on since State.
func (l *Ledger) Seal(ctx context.Context, from ledger.Head, s ledger.Sealing) error {
	b := l.buffer
	return b.write(ctx, "seal the ledger", func(ctx context.Context, t *tx) error {
		sealed, head := int64(s.SealedUntil), from
		if s.Whole {
			sealed = -1
		}
		if n := len(s.Entries); n > 0 {
			head = s.Entries[n-1].Head()
		}
		n, err := t.change(ctx, "UPDATE ledger_chains SET seq = ?, hash = ?, sealed_until = ? WHERE tenant_id = ? AND sink = ? AND chain = ? AND seq = ?",
			head.Seq, head.Hash, sealed, b.id, l.sink, from.Chain, from.Seq)
		if err != nil {
			return err
		}
		if n != 1 {
			return ErrMoved
		}
		for i := range s.Entries {
			e := &s.Entries[i]
			if err := t.exec(ctx, "INSERT INTO ledger_entries (tenant_id, sink, chain, seq, line) VALUES (?, ?, ?, ?, ?)", b.id, l.sink, e.Chain, e.Seq, e.Line()); err != nil {
				return err
			}
		}
		if s.LastLeaf == 0 {
			return nil
		}
		return t.exec(ctx, "DELETE FROM ledger_leaves WHERE tenant_id = ? AND sink = ? AND hour = ? AND id <= ?", b.id, l.sink, int64(s.Leaves), s.LastLeaf)
	})
}

// Last returns the last entry of a chain that is not that of State, and whether there
// is one.
func (l *Ledger) Last(ctx context.Context, but string) (h ledger.Head, found bool, err error) {
	b := l.buffer
	var line []byte
	err = b.store.db.QueryRowContext(ctx, "SELECT line FROM ledger_entries WHERE tenant_id = ? AND sink = ? AND chain <> ? ORDER BY n DESC LIMIT 1", b.id, l.sink, but).Scan(&line)
	if isNoRows(err) {
		return h, false, nil
	}
	if err != nil {
		return h, false, b.readFault(ctx, "read the ledger", err)
	}
	e, err := ledger.Parse(line)
	return e.Head(), err == nil, nil // one that is damaged is as good as none
}

// Unpublished returns entries that a place does not have yet, in their order, up to so
// many bytes, and how many there are in all.
func (l *Ledger) Unpublished(ctx context.Context, place string, most int) (list []ledger.Outgoing, all int64, err error) {
	b := l.buffer
	const behind = `FROM ledger_entries WHERE tenant_id = ? AND sink = ?
		AND n > (SELECT coalesce(max(published), 0) FROM ledger_places p WHERE p.tenant_id = ledger_entries.tenant_id AND p.sink = ledger_entries.sink AND place = ?)`
	if err := b.store.db.QueryRowContext(ctx, "SELECT count(*) "+behind, b.id, l.sink, place).Scan(&all); err != nil {
		return nil, 0, b.readFault(ctx, "read what is to be published", err)
	}
	rows, err := b.store.db.QueryContext(ctx, "SELECT n, line "+behind+" ORDER BY n LIMIT 500", b.id, l.sink, place)
	if err != nil {
		return nil, 0, b.readFault(ctx, "read what is to be published", err)
	}
	err = scanAll(rows, func(r *sql.Rows) error {
		var o ledger.Outgoing
		if most <= 0 {
			return nil
		}
		err := r.Scan(&o.N, &o.Line)
		list, most = append(list, o), most-len(o.Line)
		return err
	})
	if err != nil {
		return nil, 0, b.readFault(ctx, "read what is to be published", err)
	}
	return list, all, nil
}

// Published notes that a place has all entries up to one.
func (l *Ledger) Published(ctx context.Context, place string, n int64) error {
	b := l.buffer
	return b.write(ctx, "note what is published", func(ctx context.Context, t *tx) error {
		return t.exec(ctx, `INSERT INTO ledger_places (tenant_id, sink, place, published) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET published = max(published, excluded.published)`, b.id, l.sink, place, n)
	})
}

// LedgerEntries calls each for the entries of a tenant and sink, in their order. The
// bytes are good until it returns.
func (r *Reader) LedgerEntries(ctx context.Context, tenant, sink string, each func(line []byte) error) error {
	rows, err := r.db.QueryContext(ctx, "SELECT line FROM ledger_entries e JOIN tenants t ON t.id = e.tenant_id WHERE t.name = ? AND e.sink = ? ORDER BY n", tenant, sink)
	if err != nil {
		return fault("read the ledger", err)
	}
	var own error
	err = scanAll(rows, func(row *sql.Rows) error {
		var line sql.RawBytes
		if err := row.Scan(&line); err != nil {
			return err
		}
		own = each(line)
		return own
	})
	switch {
	case own != nil:
		return own
	case err != nil:
		return fault("read the ledger", err)
	}
	return nil
}

// A LedgerStatus is where the ledger of a tenant and sink stands.
type LedgerStatus struct {
	Tenant, Sink string
	Head         ledger.Head
	// SealedUntil is up to when hours are sealed; zero before the first.
	SealedUntil time.Time
	Entries     int64
}

// Ledgers returns where the ledgers stand.
func (r *Reader) Ledgers(ctx context.Context) (list []LedgerStatus, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT t.name, c.sink, c.chain, c.seq, c.hash, c.sealed_until,
			(SELECT count(*) FROM ledger_entries e WHERE e.tenant_id = c.tenant_id AND e.sink = c.sink)
		FROM ledger_chains c JOIN tenants t ON t.id = c.tenant_id ORDER BY t.name, c.sink`)
	if err != nil {
		return nil, fault("read the ledger", err)
	}
	err = scanAll(rows, func(row *sql.Rows) error {
		var s LedgerStatus
		var sealed int64
		err := row.Scan(&s.Tenant, &s.Sink, &s.Head.Chain, &s.Head.Seq, &s.Head.Hash, &sealed, &s.Entries)
		if sealed >= 0 {
			s.SealedUntil = ledger.Hour(sealed).Begin()
		}
		list = append(list, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return list, nil
}
