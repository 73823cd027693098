package tenant

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// journal keeps events, users, applications and log streams on disk, one JSON object a line, in the order
// in which they came. A line that a crash cut short is dropped at the next
// start.
type journal struct {
	file *os.File
	lock *flock.Flock
	buf  []byte
}

// The files in DataDir: the journal, and the lock of the process that uses it.
const (
	journalName = "tenant.jsonl"
	lockName    = "tenant.lock"
)

// journalChunk is about how much is written at once, in bytes.
const journalChunk = 1 << 20

// ErrInUse says that another server has the data directory.
var ErrInUse = errors.New("data directory is in use by another tenant server")

// journalLine is one line: a user, an event and when it was stored, or what
// became of an application or a log stream. An event
// that spans lines is kept as text instead.
type journalLine struct {
	At    int64           `json:"at,omitempty"`
	Event json.RawMessage `json:"event,omitempty"`
	Text  string          `json:"text,omitempty"`
	User  json.RawMessage `json:"user,omitempty"`

	// A log stream as it was made or changed, the events that were pushed on one,
	// and the id of one that was deleted.
	Stream json.RawMessage `json:"stream,omitempty"`
	Pushed *pushedLine     `json:"pushed,omitempty"`
	Gone   string          `json:"stream_gone,omitempty"`

	// An application or a grant as it was made or changed, and the id of one that was
	// deleted.
	Client     json.RawMessage `json:"client,omitempty"`
	Grant      json.RawMessage `json:"grant,omitempty"`
	ClientGone string          `json:"client_gone,omitempty"`
	GrantGone  string          `json:"grant_gone,omitempty"`
}

// pushedLine names events that need not be pushed again.
type pushedLine struct {
	ID     string   `json:"id"`
	LogIDs []string `json:"log_ids"`
}

// openJournal opens the journal in dir and hands every line to load.
func openJournal(dir string, load func(journalLine) error) (_ *journal, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockName))
	if ok, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	} else if !ok {
		return nil, fmt.Errorf("%s: %w", dir, ErrInUse)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	end, err := readJournal(file, load)
	if err != nil {
		return nil, fmt.Errorf("read journal %s: %w", file.Name(), err)
	}
	if err := file.Truncate(end); err != nil {
		return nil, fmt.Errorf("cut unfinished line of journal: %w", err)
	}
	if _, err := file.Seek(end, io.SeekStart); err != nil {
		return nil, fmt.Errorf("go to end of journal: %w", err)
	}
	return &journal{file: file, lock: lock}, nil
}

// readJournal hands every whole line to load and returns where they end.
func readJournal(r io.Reader, load func(journalLine) error) (end int64, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		data, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return 0, err
		}
		var line journalLine
		if err := json.Unmarshal(data, &line); err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		if err := load(line); err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		end += int64(len(data))
	}
}

// events writes entries. A nil journal keeps nothing.
func (j *journal) events(entries []entry) error {
	if j == nil {
		return nil
	}
	for _, e := range entries {
		j.buf = fmt.Appendf(j.buf, `{"at":%d,`, e.at)
		if bytes.IndexByte(e.raw, '\n') < 0 {
			j.buf = append(append(j.buf, `"event":`...), e.raw...)
		} else {
			j.buf = appendString(append(j.buf, `"text":`...), string(e.raw))
		}
		j.buf = append(j.buf, '}', '\n')
		if len(j.buf) >= journalChunk {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return j.flush()
}

// user writes a user.
func (j *journal) user(u []byte) error {
	if j == nil {
		return nil
	}
	j.buf = append(append(append(j.buf, `{"user":`...), u...), '}', '\n')
	return j.flush()
}

// stream writes a log stream as it is now; from is not zero for a new one that
// starts in the past.
func (j *journal) stream(l logStream, from time.Time) error {
	sl := streamLine{logStream: l}
	if !from.IsZero() {
		sl.From = &from
	}
	return j.line(map[string]any{"stream": sl})
}

// streamGone writes that a log stream was deleted.
func (j *journal) streamGone(id string) error { return j.line(map[string]any{"stream_gone": id}) }

// pushed writes that events need not be pushed again on a log stream.
func (j *journal) pushed(id string, logIDs []string) error {
	return j.line(map[string]any{"pushed": pushedLine{id, logIDs}})
}

func (j *journal) line(v map[string]any) error {
	if j == nil {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.buf = append(append(j.buf, data...), '\n')
	return j.flush()
}

// flush writes what has gathered. What cannot be written is not tried again.
func (j *journal) flush() error {
	_, err := j.file.Write(j.buf)
	if j.buf = j.buf[:0]; err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Close closes the file and lets go of the directory.
func (j *journal) Close() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.file.Close(), j.lock.Close())
}

// entry returns the event of the line; ok is false for a line without one.
func (l journalLine) entry() (e entry, ok bool, err error) {
	raw := []byte(l.Event)
	if l.Text != "" {
		raw = []byte(l.Text)
	}
	if raw == nil {
		return entry{}, false, nil
	}
	e, err = parseEntry(raw, time.UnixMilli(l.At))
	return e, err == nil, err
}
