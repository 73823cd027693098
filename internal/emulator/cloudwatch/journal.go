package cloudwatch

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// The journal is a file of records: length and CRC-32C of the payload, four
// bytes each, little endian, then the payload. The first byte of a payload is
// the kind of the record.
const (
	journalName  = "cloudwatch.journal"
	journalMagic = "gapless cloudwatch 1\n"
	recordHead   = 8
	maxRecord    = 64 << 20
)

// The kinds of records.
const (
	recordGroup        = 'g' // JSON of a logGroup: it is created or its settings change
	recordDeleteGroup  = 'G' // JSON of a change
	recordStream       = 's' // JSON of a change
	recordDeleteStream = 'S' // JSON of a change
	recordEvents       = 'e' // binary form of a batch
)

// errDataDirInUse is returned when another process has the data directory.
var errDataDirInUse = errors.New("the data directory is in use by another process")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// change is the JSON form of the small records.
type change struct {
	Group   string `json:"group"`
	Stream  string `json:"stream,omitempty"`
	Created int64  `json:"created,omitempty"`
}

// A journal appends changes to a file. A nil journal keeps nothing. It is not
// safe for concurrent use: the store's lock guards it.
type journal struct {
	file *os.File
	lock *flock.Flock
	size int64
	buf  []byte
}

// openJournal opens the journal of a directory, which it makes if needed, and
// replays it into s. It returns how many bytes of a torn record it cut off.
func openJournal(dir string, s *store) (j *journal, cut int64, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, fmt.Errorf("make data directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, journalName+".lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, 0, fmt.Errorf("lock data directory: %w", err)
	}
	if !held {
		return nil, 0, fmt.Errorf("open %s: %w", dir, errDataDirInUse)
	}
	j = &journal{lock: lock}
	if cut, err = j.open(filepath.Join(dir, journalName), s); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open journal: %w", err), j.close())
	}
	return j, cut, nil
}

func (j *journal) open(path string, s *store) (cut int64, err error) {
	if j.file, err = os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return 0, err
	}
	garbage, err := j.replay(s)
	if err != nil {
		return 0, err
	}
	end, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	cut = end - j.size
	if garbage > j.size/2 && garbage > 1<<20 {
		return cut, j.compact(path, s)
	}
	if err := j.file.Truncate(j.size); err != nil {
		return 0, err
	}
	_, err = j.file.Seek(j.size, io.SeekStart)
	return cut, err
}

// replay reads the journal up to its end or to the first torn record and leaves
// j.size behind the last good one. It returns how many bytes speak of what is
// gone.
func (j *journal) replay(s *store) (garbage int64, err error) {
	r := bufio.NewReaderSize(j.file, 1<<20)
	magic := make([]byte, len(journalMagic))
	n, err := io.ReadFull(r, magic)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && journalMagic[:n] == string(magic[:n]) {
		return 0, j.start()
	}
	if err != nil {
		return 0, err
	}
	if string(magic) != journalMagic {
		return 0, fmt.Errorf("%s is not a journal of this program", j.file.Name())
	}
	j.size = int64(len(journalMagic))
	for {
		payload, err := readRecord(r)
		if err != nil {
			break // the torn end; open cuts it off
		}
		if err := replayRecord(s, payload); err != nil {
			return 0, fmt.Errorf("replay record at byte %d: %w", j.size, err)
		}
		j.size += recordHead + int64(len(payload))
	}
	var live int64
	for _, g := range s.groups {
		live += g.bytes
	}
	return j.size - live, nil
}

// start begins an empty journal.
func (j *journal) start() error {
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.WriteAt([]byte(journalMagic), 0); err != nil {
		return err
	}
	j.size = int64(len(journalMagic))
	return j.file.Sync()
}

// readRecord reads a record; any error means that there is no whole one left.
func readRecord(r io.Reader) ([]byte, error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > maxRecord {
		return nil, fmt.Errorf("record of %d bytes", n)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errors.New("wrong checksum")
	}
	return payload, nil
}

func replayRecord(s *store, payload []byte) error {
	kind, body := payload[0], payload[1:]
	switch kind {
	case recordEvents:
		b, err := decodeBatch(body)
		if err == nil {
			s.applyEvents(b)
		}
		return err
	case recordGroup:
		g := new(logGroup)
		if err := json.Unmarshal(body, g); err != nil {
			return err
		}
		s.applyGroup(g)
		return nil
	}
	var c change
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	switch kind {
	case recordDeleteGroup:
		delete(s.groups, c.Group)
	case recordStream:
		s.applyStream(c.Group, c.Stream, c.Created)
	case recordDeleteStream:
		s.applyDeleteStream(c.Group, c.Stream)
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
	return nil
}

func (j *journal) group(g *logGroup) error { return j.json(recordGroup, g) }

func (j *journal) deleteGroup(name string) error {
	return j.json(recordDeleteGroup, change{Group: name})
}

func (j *journal) stream(group, stream string, created int64) error {
	return j.json(recordStream, change{Group: group, Stream: stream, Created: created})
}

func (j *journal) deleteStream(group, stream string) error {
	return j.json(recordDeleteStream, change{Group: group, Stream: stream})
}

func (j *journal) json(kind byte, v any) error {
	if j == nil {
		return nil
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return j.append(kind, func(buf []byte) []byte { return append(buf, body...) })
}

func (j *journal) events(b batch) error {
	if j == nil {
		return nil
	}
	return j.append(recordEvents, b.encode)
}

// append writes a record with one write. If that fails, what was written of it
// is taken back, so that the next record does not stand behind a torn one.
func (j *journal) append(kind byte, body func([]byte) []byte) error {
	j.buf = append(j.buf[:0], make([]byte, recordHead)...)
	j.buf = body(append(j.buf, kind))
	payload := j.buf[recordHead:]
	binary.LittleEndian.PutUint32(j.buf, uint32(len(payload))) //nolint:gosec // a record is far below 4 GiB: requests are bounded
	binary.LittleEndian.PutUint32(j.buf[4:], crc32.Checksum(payload, castagnoli))
	n, err := j.file.Write(j.buf)
	if err != nil {
		_, seekErr := j.file.Seek(j.size, io.SeekStart)
		return fmt.Errorf("append to journal: %w", errors.Join(err, j.file.Truncate(j.size), seekErr))
	}
	j.size += int64(n)
	return nil
}

// encode appends the binary form of the batch: names and messages with their
// lengths, numbers as varints.
func (b batch) encode(buf []byte) []byte {
	buf = appendText(buf, b.group)
	buf = appendText(buf, b.stream)
	buf = binary.AppendVarint(buf, b.ingested)
	buf = binary.AppendUvarint(buf, b.firstSeq)
	buf = binary.AppendUvarint(buf, uint64(len(b.events)))
	for _, e := range b.events {
		buf = binary.AppendVarint(buf, e.time)
		buf = appendText(buf, e.message)
	}
	return buf
}

func appendText(buf []byte, s string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(s))), s...)
}

// decodeBatch reads what encode has written.
func decodeBatch(body []byte) (batch, error) {
	d := decoder{rest: string(body)}
	b := batch{group: d.text(), stream: d.text(), ingested: d.varint(), firstSeq: d.uvarint()}
	n := d.uvarint()
	if n > uint64(len(body)) {
		return batch{}, errors.New("batch is damaged")
	}
	b.events = make([]inputEvent, n)
	for i := range b.events {
		b.events[i] = inputEvent{time: d.varint(), message: d.text()}
	}
	if d.broken || d.rest != "" {
		return batch{}, errors.New("batch is damaged")
	}
	return b, nil
}

// decoder takes values off the front of a string, which the texts share.
type decoder struct {
	rest   string
	broken bool
}

func (d *decoder) uvarint() uint64 {
	head := d.rest[:min(len(d.rest), binary.MaxVarintLen64)]
	v, n := binary.Uvarint([]byte(head))
	if n <= 0 {
		d.broken = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.broken = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

// close flushes the journal to the device and gives the directory free.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	var err error
	if j.file != nil {
		err = errors.Join(j.file.Sync(), j.file.Close())
	}
	if unlockErr := j.lock.Unlock(); unlockErr != nil {
		err = errors.Join(err, fmt.Errorf("unlock data directory: %w", unlockErr))
	}
	return err
}
