package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// version is that of the form.
const version = 1

// A Kind is what an entry is about.
type Kind string

// The kinds of entries.
const (
	// Start begins a chain.
	Start Kind = "start"
	// Full is an hour, with all events of it that were delivered by then.
	Full Kind = "hour"
	// Quiet is one or more hours in a row in which nothing was delivered.
	Quiet Kind = "quiet"
	// Late are events of an hour that was sealed before they came, or that began before
	// the chain; it lists them.
	Late Kind = "late"
)

// An Entry is one of the ledger of a tenant and destination. It never changes.
type Entry struct {
	Kind                Kind
	Tenant, Destination string
	// Chain tells the chain of the entry from others of the destination, Seq is its place
	// there, from 0.
	Chain string
	Seq   int64
	// From and Until are the time of the timestamps, whole hours, without Until. Of a
	// start From is since when hours are whole, zero when that is from the first event on.
	From, Until time.Time
	// Count is how many events there are, FirstID and LastID are the ends of their ids
	// in the order of bytes, FirstAt and LastAt of their timestamps in milliseconds.
	Count           int64
	FirstID, LastID string
	FirstAt, LastAt int64
	// Digest is the SHA-256 over their lines, in hexadecimal.
	Digest string
	// Places are the log groups and streams that they went to; "*" for streams of a group
	// that are too many to name.
	Places [][2]string
	// Leaves are those of a late entry, in their order.
	Leaves []Leaf
	// Continues is, of a start, the last entry of the chain before; nil where there was
	// none, or none is known. Note says which.
	Continues *Head
	Note      string
	SealedAt  time.Time
	// Previous is the hash of the entry before, empty for a start.
	Previous string
	// KeyID names the key of Signature; both are empty in an entry that is not signed.
	KeyID     string
	Hash      string
	Signature string
}

// A Head names an entry.
type Head struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
}

// Head returns the name of the entry.
func (e *Entry) Head() Head { return Head{e.Chain, e.Seq, e.Hash} }

// members lists what the hash is over.
func (e *Entry) members() []member {
	list := []member{
		{"version", int64(version)},
		{"kind", string(e.Kind)},
		{"tenant", e.Tenant},
		{"destination", e.Destination},
		{"chain", e.Chain},
		{"seq", e.Seq},
		{"sealed_at", clock(e.SealedAt)},
	}
	text := func(name, value string) {
		if value != "" {
			list = append(list, member{name, value})
		}
	}
	text("from", clock(e.From))
	text("until", clock(e.Until))
	text("previous", e.Previous)
	text("key_id", e.KeyID)
	text("note", e.Note)
	if e.Kind == Start {
		if c := e.Continues; c != nil {
			list = append(list, member{"continues", []member{{"chain", c.Chain}, {"seq", c.Seq}, {"hash", c.Hash}}})
		}
		return list
	}
	list = append(list, member{"count", e.Count}, member{"digest", e.Digest})
	if e.Count > 0 {
		list = append(list, member{"first_log_id", e.FirstID}, member{"last_log_id", e.LastID},
			member{"first_timestamp", e.FirstAt}, member{"last_timestamp", e.LastAt}, member{"places", e.Places})
	}
	if len(e.Leaves) > 0 {
		list = append(list, member{"events", e.Leaves})
	}
	return list
}

// clock writes a time, to the second.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Seal sets the hash, and with a key that is not nil the signature.
func (e *Entry) Seal(key *Key) {
	e.KeyID, e.Signature = "", ""
	if key != nil {
		e.KeyID = key.ID
	}
	e.Hash = e.sum()
	if key != nil {
		e.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key.private, signed(e.Hash)))
	}
}

// sum returns what the hash should be.
func (e *Entry) sum() string {
	sum := sha256.Sum256(appendObject(nil, e.members()))
	return hex.EncodeToString(sum[:])
}

// signed is the text that a signature is of.
func signed(hash string) []byte { return []byte("gapless ledger 1 " + hash + "\n") }

// Line returns the entry in the canonical form, without a line break.
func (e *Entry) Line() []byte {
	list := append(e.members(), member{"hash", e.Hash})
	if e.Signature != "" {
		list = append(list, member{"signature", e.Signature})
	}
	return appendObject(nil, list)
}

// Errors of entries.
var (
	// ErrForm says that a text is no entry in the canonical form.
	ErrForm = errors.New("not an entry of a ledger in its canonical form")
	// ErrVersion says that an entry is of a newer release.
	ErrVersion = errors.New("the entry has a form that this release does not know")
	// ErrHash says that an entry is not what its hash is of.
	ErrHash = errors.New("the entry was altered: its hash is not that of its content")
	// ErrSignature says that a signature is not that of the key.
	ErrSignature = errors.New("the signature is wrong")
	// ErrUnsigned says that there is no signature where a key is given.
	ErrUnsigned = errors.New("the entry is not signed")
	// ErrKey says that the entry was signed with a key that was not given.
	ErrKey = errors.New("the entry is signed with a key that was not given")
)

// wireEntry is an entry as JSON.
type wireEntry struct {
	Version     int64       `json:"version"`
	Kind        Kind        `json:"kind"`
	Tenant      string      `json:"tenant"`
	Destination string      `json:"destination"`
	Chain       string      `json:"chain"`
	Seq         int64       `json:"seq"`
	SealedAt    time.Time   `json:"sealed_at"`
	From        time.Time   `json:"from"`
	Until       time.Time   `json:"until"`
	Previous    string      `json:"previous"`
	KeyID       string      `json:"key_id"`
	Note        string      `json:"note"`
	Continues   *Head       `json:"continues"`
	Count       int64       `json:"count"`
	Digest      string      `json:"digest"`
	FirstID     string      `json:"first_log_id"`
	LastID      string      `json:"last_log_id"`
	FirstAt     int64       `json:"first_timestamp"`
	LastAt      int64       `json:"last_timestamp"`
	Places      [][2]string `json:"places"`
	Leaves      []Leaf      `json:"events"`
	Hash        string      `json:"hash"`
	Signature   string      `json:"signature"`
}

// Parse reads an entry. It takes the canonical form alone, so nothing can be in the
// text that is not in the entry. It does not check the hash.
func Parse(line []byte) (Entry, error) {
	line = bytes.TrimSpace(line)
	var w wireEntry
	if err := json.Unmarshal(line, &w); err != nil {
		return Entry{}, ErrForm
	}
	if w.Version > version {
		return Entry{}, fmt.Errorf("version %d: %w", w.Version, ErrVersion)
	}
	e := Entry{
		Kind: w.Kind, Tenant: w.Tenant, Destination: w.Destination, Chain: w.Chain, Seq: w.Seq, SealedAt: w.SealedAt, From: w.From, Until: w.Until,
		Previous: w.Previous, KeyID: w.KeyID, Note: w.Note, Continues: w.Continues, Count: w.Count, Digest: w.Digest, FirstID: w.FirstID, LastID: w.LastID,
		FirstAt: w.FirstAt, LastAt: w.LastAt, Places: w.Places, Leaves: w.Leaves, Hash: w.Hash, Signature: w.Signature,
	}
	if !bytes.Equal(e.Line(), line) {
		return Entry{}, ErrForm
	}
	return e, nil
}

// Verify checks the hash, and the signature if there are keys.
func (e *Entry) Verify(keys []PublicKey) error {
	if e.Hash != e.sum() {
		return ErrHash
	}
	if len(keys) == 0 {
		return nil
	}
	if e.Signature == "" {
		return ErrUnsigned
	}
	for _, k := range keys {
		if k.ID() != e.KeyID {
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(e.Signature)
		if err != nil || !ed25519.Verify(ed25519.PublicKey(k), signed(e.Hash), sig) {
			return ErrSignature
		}
		return nil
	}
	return fmt.Errorf("key %s: %w", e.KeyID, ErrKey)
}
