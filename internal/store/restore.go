package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// newName is a database that is being put together from what is left.
	newName = fileName + ".new"
	// ReportName is the file that tells a person of a restoration. As long as it is
	// there the tenants are in trouble; who deletes it has taken notice.
	ReportName = "gapless.restored.txt"
	// RestoredPart is the part under which the conditions tell of a restoration.
	RestoredPart = "store"
	// RestoredClass is the class of those conditions: a person must take notice.
	RestoredClass = "restored"
	// restoredSlack is how far the clocks of the sources may be ahead: events dated
	// up to so long after a restoration may have been delivered before it.
	restoredSlack = 5 * time.Minute
	// restoredAgo is how long ago the last call of the lost process counts as ended
	// when an event goes out, so that a destination that cannot be read holds it for
	// a while, see cloudwatch, and reading need not be repeated for its lag.
	restoredAgo = time.Minute
	// copyFresh is the age up to which an older copy's own cursor is gone back to:
	// less than the shortest time for which Auth0 keeps an event, one day.
	copyFresh = 20 * time.Hour
	// unknownTenants is how long after a restoration of which nothing was known a
	// tenant that is new to the file counts as one that was lost.
	unknownTenants = 24 * time.Hour
)

// longAgo is the time from which on events may have been sent when nothing is
// known.
var longAgo = time.Unix(1, 0).UTC()

// restoredHint is what a person does about a restoration.
const restoredHint = "Read " + ReportName + " in the data directory, find out what happened to the disk, compare with Auth0 where it matters; then delete that file: this clears the condition."

// errOtherProgram says what a file is that has nothing of gapless in it.
var errOtherProgram = errors.New("a database of another program")

// ErrOtherStore says that the database and the mirror are of different stores.
var ErrOtherStore = errors.New(fileName + " and " + mirrorName + " belong to different stores")

// A loss is what befell a database.
type loss struct {
	what   string // in words
	copied bool   // the database is sound, but an older copy
	there  bool   // there is a file to read from
	who    identity
	mirror *mirror // nil when there is none that can be believed
	at     time.Time
}

// mend looks at the files of the data directory before the database is opened and
// restores a database that is lost, damaged or an older copy. It returns the
// mirror if it belongs to the database. Only the holder of the lock may call it.
func (s *Store) mend(ctx context.Context) (*mirror, error) {
	if err := s.finishSwap(); err != nil {
		return nil, err
	}
	m, unreadable := readMirror(s.cfg.Dir)
	if unreadable != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "cannot use "+mirrorName, slog.Any("error", unreadable),
			slog.String("hint", "It is written anew; find out what happened to the disk of the data directory."))
	}
	l, err := s.findLoss(ctx, m, unreadable != nil)
	if err != nil || l == nil {
		return m, err
	}
	l.mirror, l.at = m, time.Now().UTC()
	s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "restoring the store: "+l.what)
	if l.copied {
		err = s.adopt(ctx, l)
	} else {
		err = s.rebuild(ctx, l)
	}
	if err != nil {
		if _, ok := errors.AsType[*pipeline.Error](err); ok {
			return nil, err
		}
		return nil, &pipeline.Error{
			Op: "restore store", Class: pipeline.Misconfigured, Err: fmt.Errorf("%s; %w", l.what, err),
			Hint: "Nothing was changed. The data directory needs to be writable, and room for the database a second time.",
		}
	}
	return m, nil
}

// findLoss says what befell the database; nil when it is sound, or there never was
// one. A process that was killed while it met damage leaves a mark, see noteDamage.
func (s *Store) findLoss(ctx context.Context, m *mirror, badMirror bool) (*loss, error) {
	if err := s.rollBack(ctx); err != nil && !isDamage(err) { // damage is found below
		return nil, fault("open store", err)
	}
	there, filled := exists(s.path)
	_, wal := exists(s.path + "-wal")
	if !filled {
		switch {
		case m == nil && !badMirror && !wal:
			return nil, nil //nolint:nilnil // nothing befell it
		case there:
			return &loss{what: fileName + " is empty"}, nil
		default:
			return &loss{what: fileName + " is missing"}, nil
		}
	}
	most := s.cfg.checkBytes
	marked, _ := exists(filepath.Join(s.cfg.Dir, damagedName))
	if marked {
		most = 1 << 62
	}
	who, err := examine(ctx, s.path, most)
	switch {
	case err != nil && isDamage(err):
		return &loss{what: fileName + " is damaged: " + err.Error(), there: true}, nil
	case errors.Is(err, errOtherProgram) && m != nil: // but a store of ours was here
		return &loss{what: fileName + " was replaced: it is " + errOtherProgram.Error(), there: true}, nil
	case err != nil:
		return nil, fault("open store", err)
	}
	if marked {
		if err := os.Remove(filepath.Join(s.cfg.Dir, damagedName)); err != nil {
			return nil, fmt.Errorf("clear the mark of damage: %w", err)
		}
	}
	switch {
	case m == nil:
		return nil, nil //nolint:nilnil // nothing befell it
	case who.id != "" && who.id != m.Store:
		return nil, &pipeline.Error{
			Op: "open store", Class: pipeline.Misconfigured, Err: ErrOtherStore,
			Hint: "If " + fileName + " is the right one, delete " + mirrorName + ". Otherwise move " + fileName + " away: gapless then goes on from " + mirrorName + ".",
		}
	case who.generation < m.Generation:
		return &loss{what: fmt.Sprintf("%s is an older copy, or its WAL was taken away: it is of %s, and %s of %s", fileName,
			who.at.Format(time.RFC3339), mirrorName, m.WrittenAt.Format(time.RFC3339)), copied: true, there: true, who: who}, nil
	}
	return nil, nil //nolint:nilnil // nothing befell it
}

// rollBack undoes what a process that was killed had begun to write with a rollback
// journal, as one does that makes the database and turns its WAL on. What is opened
// to be read alone below cannot do that, and refuses.
func (s *Store) rollBack(ctx context.Context) error {
	if _, filled := exists(s.path + "-journal"); !filled {
		return nil
	}
	db, err := sql.Open("sqlite", dsn(s.path, "rw"))
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version) // any read does it
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("roll back what was begun: %w", err)
	}
	return nil
}

// finishSwap ends what a process that died has begun. A new database is put in
// place only when it is complete; so one beside another is not, and one alone is.
func (s *Store) finishSwap() error {
	next := filepath.Join(s.cfg.Dir, newName)
	if there, _ := exists(next); !there {
		return nil
	}
	if there, _ := exists(s.path); !there {
		return s.putInPlace()
	}
	return removeDatabase(next)
}

// removeDatabase deletes a database that was never in use.
func removeDatabase(path string) error {
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete unfinished store: %w", err)
		}
	}
	return nil
}

// putInPlace makes the new database the one in use.
func (s *Store) putInPlace() error {
	if err := os.Rename(filepath.Join(s.cfg.Dir, newName), s.path); err != nil {
		return fmt.Errorf("put the new store in place: %w", err)
	}
	if err := os.Remove(filepath.Join(s.cfg.Dir, damagedName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear the mark of damage: %w", err)
	}
	return syncDir(s.cfg.Dir)
}

// rebuild makes a new database from what can be read of the old one and from the
// mirror, and keeps the old one under another name.
func (s *Store) rebuild(ctx context.Context, l *loss) error {
	next := filepath.Join(s.cfg.Dir, newName)
	if err := removeDatabase(next); err != nil {
		return err
	}
	f, err := os.OpenFile(next, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	aside := s.asideName(l.at)
	told, err := s.fill(ctx, next, l, aside)
	if err != nil {
		return errors.Join(err, removeDatabase(next))
	}
	if err := replaceFile(filepath.Join(s.cfg.Dir, ReportName), []byte(told.text())); err != nil {
		return errors.Join(err, removeDatabase(next))
	}
	for _, end := range []string{"-shm", "-wal", ""} { // the file last, see finishSwap
		if err := os.Rename(s.path+end, aside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := s.putInPlace(); err != nil {
		return err
	}
	s.tell(ctx, told)
	return nil
}

// asideName is under which name the old database is kept.
func (s *Store) asideName(at time.Time) string {
	name := s.path + ".damaged-" + at.Format("20060102T150405Z")
	for n := 2; ; n++ {
		taken := false
		for _, end := range []string{"", "-wal"} {
			there, _ := exists(name + end)
			taken = taken || there
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("%s.damaged-%s-%d", s.path, at.Format("20060102T150405Z"), n)
	}
}

// fill puts the new database together.
func (s *Store) fill(ctx context.Context, next string, l *loss, aside string) (told *restoration, err error) {
	db, err := sql.Open("sqlite", writeDSN(next))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := migrate(ctx, conn, migrations); err != nil {
		return nil, err
	}
	told = &restoration{At: l.at, What: l.what}
	if there, _ := exists(s.path); there {
		told.Kept = filepath.Base(aside)
	}
	var found salvaged
	if l.there {
		if found, err = salvage(ctx, s.path, conn); err != nil {
			return nil, err
		}
		told.Saved = found.figures()
	}
	return told, l.settle(ctx, conn, &found, told)
}

// settle writes into the new database where the tenants go on, the doubts and what
// is to be told.
func (l *loss) settle(ctx context.Context, conn *sql.Conn, found *salvaged, told *restoration) error {
	who := found.who
	if l.mirror != nil {
		who.id, who.generation = l.mirror.Store, max(who.generation, l.mirror.Generation)
	}
	if who.id == "" {
		who.id = newStoreID()
	}
	who.generation++
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	if err := l.putTenants(ctx, tx, found, told); err != nil {
		return err
	}
	return finishRestoration(ctx, tx, who, told)
}

// finishRestoration writes the identity, the doubt of tenants of which nothing is
// known and what is to be told, and commits.
func finishRestoration(ctx context.Context, tx *sql.Tx, who identity, told *restoration) error {
	// Tenants that are in neither file may have been in the one that was lost.
	if err := putValue(ctx, tx, 0, keyRestored, pipeline.Doubt{From: longAgo, Until: told.At}); err != nil {
		return err
	}
	// What the ledger has sealed since is not known: its chains end, and new ones begin.
	if _, err := tx.ExecContext(ctx, "DELETE FROM ledger_chains"); err != nil {
		return err
	}
	now := told.At.UnixMicro()
	if _, err := tx.ExecContext(ctx, putStoreKV, 0, keyID, []byte(who.id), now); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, putStoreKV, 0, keyGeneration, []byte(strconv.FormatInt(who.generation, 10)), now); err != nil {
		return err
	}
	if err := putValue(ctx, tx, 0, keyTold, told); err != nil {
		return err
	}
	return tx.Commit()
}

// putValue writes one of the store's own values.
func putValue(ctx context.Context, tx *sql.Tx, tenant int64, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, putStoreKV, tenant, key, text, time.Now().UnixMicro())
	return err
}

// putTenants writes where each tenant goes on. The mirror's positions go first: to
// read again from there is safe whatever could be read of the old database. Its own
// cursors are safe only if no event of its buffer is missing.
func (l *loss) putTenants(ctx context.Context, tx *sql.Tx, found *salvaged, told *restoration) error {
	names := slices.Collect(maps.Keys(found.tenants))
	if l.mirror != nil {
		names = slices.AppendSeq(names, maps.Keys(l.mirror.Tenants))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		var stands map[string]position
		switch {
		case l.mirror != nil && len(l.mirror.Tenants[name]) > 0:
			stands = l.mirror.Tenants[name]
		case found.complete:
			stands = found.tenants[name]
		}
		if err := putTenant(ctx, tx, name, stands, l.at, told); err != nil {
			return err
		}
	}
	return nil
}

// putTenant writes where a tenant goes on and its doubt.
func putTenant(ctx context.Context, tx *sql.Tx, name string, stands map[string]position, at time.Time, told *restoration) error {
	var id int64
	if _, err := tx.ExecContext(ctx, "INSERT INTO tenants (name) VALUES (?) ON CONFLICT DO NOTHING", name); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT id FROM tenants WHERE name = ?", name).Scan(&id); err != nil {
		return err
	}
	doubt := pipeline.Doubt{From: longAgo, Until: at}
	if _, err := tx.ExecContext(ctx, "DELETE FROM cursors WHERE tenant_id = ?", id); err != nil {
		return err
	}
	for _, source := range slices.Sorted(maps.Keys(stands)) {
		p := stands[source]
		_, err := tx.ExecContext(ctx, "INSERT INTO cursors (tenant_id, source, cursor, updated_at) VALUES (?, ?, ?, ?)", id, source, string(p.Cursor), p.At.UnixMicro())
		if err != nil {
			return err
		}
		if from := p.At.Add(-lateMargin); doubt.From.Equal(longAgo) || from.Before(doubt.From) {
			doubt.From = from
		}
		told.From = append(told.From, fmt.Sprintf("tenant %s, source %s: from where it stood at %s", name, source, p.At.UTC().Format(time.RFC3339)))
	}
	if len(stands) == 0 {
		told.From = append(told.From, fmt.Sprintf("tenant %s: where it stood is not known, so from as far back as Auth0 and start_from allow", name))
		if err := putValue(ctx, tx, id, keyLostCursor, true); err != nil {
			return err
		}
	}
	return putValue(ctx, tx, id, keyRestored, doubt)
}

// adopt goes on with an older copy. What it holds may have been delivered since,
// and so may what is read again. Its own cursors bring back the dead letters that
// came since as well; if it is too old for that, those of the mirror are safe.
func (s *Store) adopt(ctx context.Context, l *loss) (err error) {
	db, err := sql.Open("sqlite", writeDSN(s.path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := migrate(ctx, conn, migrations); err != nil {
		return err
	}
	told := &restoration{At: l.at, What: l.what}
	found, err := readStands(ctx, conn)
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	for name, mirrored := range l.mirror.Tenants {
		if own := found[name]; l.at.Sub(l.who.at) < copyFresh && len(own) > 0 {
			mirrored = own
		}
		found[name] = mirrored
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err := putTenant(ctx, tx, name, found[name], l.at, told); err != nil {
			return err
		}
	}
	if err := replaceFile(filepath.Join(s.cfg.Dir, ReportName), []byte(told.text())); err != nil {
		return err
	}
	if err := finishRestoration(ctx, tx, identity{id: l.mirror.Store, generation: l.mirror.Generation + 1}, told); err != nil {
		return err
	}
	s.tell(ctx, told)
	return nil
}

// readStands reads the cursors of every tenant.
func readStands(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
},
) (map[string]map[string]position, error) {
	stands := make(map[string]map[string]position)
	rows, err := db.QueryContext(ctx, `SELECT name, coalesce(source, ''), coalesce(cursor, ''), coalesce(updated_at, 0)
		FROM tenants LEFT JOIN cursors ON tenant_id = id`)
	if err != nil {
		return nil, err
	}
	return stands, scanAll(rows, func(r *sql.Rows) error {
		var name, source, cursor string
		var at int64
		err := r.Scan(&name, &source, &cursor, &at)
		if stands[name] == nil {
			stands[name] = make(map[string]position)
		}
		if cursor != "" {
			stands[name][source] = position{event.Cursor(cursor), timeOf(at)}
		}
		return err
	})
}
