package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A Leaf is an event that was delivered.
type Leaf struct {
	// ID is its log_id; of an event without one it is made of Hash, see IDOf.
	ID string
	// At is the timestamp of the message, in milliseconds since 1970.
	At int64
	// Hash is the SHA-256 of the message.
	Hash [sha256.Size]byte
}

// IDOf returns the name of an event in the ledger: its log_id, or for one without what
// its message alone tells, so that an auditor finds the same.
func IDOf(logID string, hash [sha256.Size]byte) string {
	if logID == "" || strings.HasPrefix(logID, event.SyntheticPrefix) {
		return event.SyntheticPrefix + hex.EncodeToString(hash[:])
	}
	return logID
}

// LeafOf returns the leaf of a message as it lies in a destination, and whether it has
// a log_id: what has none may be no event at all.
func LeafOf(at time.Time, message []byte) (l Leaf, named bool) {
	l = Leaf{At: at.UnixMilli(), Hash: sha256.Sum256(message)}
	logID := ""
	if page, err := event.ParsePage(message, at); err == nil && len(page.Events) == 1 {
		logID = page.Events[0].LogID
	}
	l.ID = IDOf(logID, l.Hash)
	return l, logID != "" && !strings.HasPrefix(logID, event.SyntheticPrefix)
}

// An Hour is an hour since 1970.
type Hour int64

// HourOf returns that of a time in milliseconds since 1970.
func HourOf(ms int64) Hour {
	const long = int64(time.Hour / time.Millisecond)
	h := ms / long
	if ms%long < 0 {
		h--
	}
	return Hour(h)
}

// Begin returns when the hour begins.
func (h Hour) Begin() time.Time { return time.Unix(int64(h)*int64(time.Hour/time.Second), 0).UTC() }

// Pack appends a leaf for Unpack.
func (l *Leaf) Pack(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(l.ID)))
	b = append(b, l.ID...)
	b = binary.AppendVarint(b, l.At)
	return append(b, l.Hash[:]...)
}

// errPacked says that packed leaves are not what was written.
var errPacked = errors.New("leaves of the ledger are damaged")

// Unpack calls each for packed leaves.
func Unpack(b []byte, each func(Leaf) error) error {
	for len(b) > 0 {
		var l Leaf
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) { //nolint:gosec // k bytes were read of b
			return errPacked
		}
		l.ID, b = string(b[k:k+int(n)]), b[k+int(n):] //nolint:gosec // it was compared with the length
		l.At, k = binary.Varint(b)
		if k <= 0 || len(b)-k < len(l.Hash) {
			return errPacked
		}
		copy(l.Hash[:], b[k:])
		b = b[k+len(l.Hash):]
		if err := each(l); err != nil {
			return err
		}
	}
	return nil
}

// leafBytes is the length of what sortValue makes.
const leafBytes = 8 + sha256.Size

// compareLeaves orders leaves by id, timestamp and hash.
func compareLeaves(a, b Leaf) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(a.At, b.At), bytes.Compare(a.Hash[:], b.Hash[:]))
}

// sortValue returns what orders leaves of the same id: timestamp, then hash.
func (l *Leaf) sortValue(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(l.At)^(1<<63)) //nolint:gosec // the same bits, so that bytes order as numbers do
	return append(b, l.Hash[:]...)
}

// leafFrom undoes sortValue.
func leafFrom(id string, b []byte) Leaf {
	l := Leaf{ID: id, At: int64(binary.BigEndian.Uint64(b) ^ (1 << 63))} //nolint:gosec // the same bits
	copy(l.Hash[:], b[8:leafBytes])
	return l
}

// is reports whether what sortValue has made is of a leaf.
func (l *Leaf) is(b []byte) bool {
	return int64(binary.BigEndian.Uint64(b)^(1<<63)) == l.At && bytes.Equal(b[8:leafBytes], l.Hash[:]) //nolint:gosec // the same bits
}

// A digest sums leaves up, which come in the order of id, timestamp and hash.
type digest struct {
	sum             hash.Hash
	count           int64
	firstID, lastID string
	firstAt, lastAt int64
	line            []byte
}

// newDigest returns the digest of no leaf.
func newDigest() *digest {
	return &digest{sum: sha256.New(), firstAt: math.MaxInt64, lastAt: math.MinInt64}
}

// add adds a leaf.
func (d *digest) add(l *Leaf) {
	d.line = append(appendLeaf(d.line[:0], l), '\n')
	d.addLine(l, d.line)
}

// addLine adds one whose line is made.
func (d *digest) addLine(l *Leaf, line []byte) {
	_, _ = d.sum.Write(line) // it never fails
	if d.count == 0 {
		d.firstID = l.ID
	}
	d.count++
	d.lastID = l.ID
	d.firstAt, d.lastAt = min(d.firstAt, l.At), max(d.lastAt, l.At)
}

// hex returns the digest.
func (d *digest) hex() string { return hex.EncodeToString(d.sum.Sum(nil)) }

// appendLeaf appends a leaf; with a line break it is the line that is summed up.
func appendLeaf(b []byte, l *Leaf) []byte {
	b = appendText(append(b, '['), l.ID)
	b = strconv.AppendInt(append(b, ','), l.At, 10)
	b = append(b, ',', '"')
	b = hex.AppendEncode(b, l.Hash[:])
	return append(b, '"', ']')
}

// UnmarshalJSON reads what appendLeaf writes.
func (l *Leaf) UnmarshalJSON(b []byte) error {
	var sum string
	if err := json.Unmarshal(b, &[]any{&l.ID, &l.At, &sum}); err != nil {
		return ErrForm
	}
	n, err := hex.Decode(l.Hash[:], []byte(sum[:min(len(sum), 2*len(l.Hash))]))
	if err != nil || n != len(l.Hash) {
		return ErrForm
	}
	return nil
}

// clone returns a digest that goes on from here by itself.
func (d *digest) clone() *digest {
	c := *d
	c.line = nil
	if h, ok := d.sum.(hash.Cloner); ok { // that of the standard library is
		if sum, err := h.Clone(); err == nil {
			c.sum = sum
		}
	}
	return &c
}
