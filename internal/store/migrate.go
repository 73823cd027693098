package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// migrations holds NNNN_name.sql files; NNNN is the version that the file leads
// to. A file that was released never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as ours in its header: "gapl".
const applicationID = 0x6761706c

// A migration leads from version-1 to version.
type migration struct {
	version int
	sql     string
}

// loadMigrations reads the migrations in ascending order, without a hole.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var list []migration
	for _, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("read version of %s: %w", name, err)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		list = append(list, migration{version, string(text)})
	}
	slices.SortFunc(list, func(a, b migration) int { return cmp.Compare(a.version, b.version) })
	for i, m := range list {
		if m.version != i+1 {
			return nil, fmt.Errorf("migration %d is missing", i+1)
		}
	}
	return list, nil
}

// schemaVersion reads the version of a file, 0 for a new one, and refuses files
// of others and of newer releases.
func schemaVersion(ctx context.Context, conn *sql.Conn, newest int) (int, error) {
	var version, app, tables int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fault("read schema version", err)
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return 0, fault("read application id", err)
	}
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, fault("read schema", err)
	}
	switch {
	case tables > 0 && app != applicationID:
		return 0, &pipeline.Error{
			Op: "open store", Class: pipeline.Misconfigured,
			Err:  fmt.Errorf("%s is %w", fileName, errOtherProgram),
			Hint: "Set data_dir to a directory of gapless's own.",
		}
	case version > newest:
		return 0, &pipeline.Error{
			Op: "open store", Class: pipeline.Misconfigured,
			Err:  fmt.Errorf("schema version %d, this release knows up to %d: %w", version, newest, ErrNewerSchema),
			Hint: "Run that newer release of gapless again; `gapless version` says which one is installed.",
		}
	}
	return version, nil
}

// migrate brings the file to the newest version, each step in a transaction of
// its own.
func migrate(ctx context.Context, conn *sql.Conn, files fs.FS) error {
	list, err := loadMigrations(files)
	if err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	version, err := schemaVersion(ctx, conn, len(list))
	if err != nil {
		return err
	}
	for _, m := range list[version:] {
		if err := m.apply(ctx, conn); err != nil {
			return fault(fmt.Sprintf("migrate store to version %d", m.version), err)
		}
	}
	return nil
}

// apply makes one step.
func (m migration) apply(ctx context.Context, conn *sql.Conn) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s\nPRAGMA user_version = %d; PRAGMA application_id = %d;", m.sql, m.version, applicationID)
	if _, err := tx.ExecContext(ctx, text); err != nil {
		if e := tx.Rollback(); e != nil {
			return fmt.Errorf("%w; and roll back: %w", err, e)
		}
		return err
	}
	return tx.Commit()
}
