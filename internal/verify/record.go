package verify

import (
	"encoding/binary"
	"time"

	"github.com/gaplesslogs/gapless/internal/sorter"
)

// The kinds of records, in the order in which those of one log_id come.
const (
	recordHeld    byte = 1 + iota // by Auth0
	recordWaiting                 // in the buffer of the exporter
	recordLetter                  // a dead letter
	recordKnown                   // stored by the exporter at some time
	recordFound                   // in the destination
)

// A held is what is kept of an event that Auth0 holds.
type held struct {
	date    int64  // milliseconds since 1970
	dated   bool   // the date is the event's own, or that of its log_id
	leftOut string // the reason for which it does not go to the destination
	fate    Fate   // what the ledger said last
	group   string
	stream  string
	exact   []digest // what the message may be
	lax     []digest
}

// A found is what is kept of an event in a destination.
type found struct {
	copied    Copy
	date      int64 // as the message says
	dated     bool
	enveloped bool
	elsewhere bool
	shared    bool
	exact     digest
	lax       digest
}

// A packer writes the members of records.
type packer struct{ b []byte }

// reset begins a record of a kind.
func (p *packer) reset(kind byte) { p.b = append(p.b[:0], kind) }

func (p *packer) int(n int64)     { p.b = binary.AppendVarint(p.b, n) }
func (p *packer) text(s string)   { p.b = append(binary.AppendUvarint(p.b, uint64(len(s))), s...) }
func (p *packer) digest(d digest) { p.b = append(p.b, d[:]...) }
func (p *packer) flag(f bool) {
	n := byte(0)
	if f {
		n = 1
	}
	p.b = append(p.b, n)
}

// An unpacker reads them. A record that is too short is told by bad.
type unpacker struct {
	b   []byte
	bad bool
}

func (u *unpacker) take(n int) []byte {
	if n < 0 || n > len(u.b) {
		u.bad = true
		return make([]byte, max(0, min(n, sorter.Longest)))
	}
	out := u.b[:n]
	u.b = u.b[n:]
	return out
}

func (u *unpacker) int() int64 {
	n, k := binary.Varint(u.b)
	u.take(k)
	u.bad = u.bad || k <= 0
	return n
}

func (u *unpacker) text() string {
	n, k := binary.Uvarint(u.b)
	u.take(k)
	if k <= 0 || n > sorter.Longest {
		u.bad = true
		return ""
	}
	return string(u.take(int(n)))
}

func (u *unpacker) fate() Fate {
	n := u.int()
	if n < 0 || n > int64(LeftOut) {
		u.bad = true
		return Unknown
	}
	return Fate(n)
}

func (u *unpacker) digest() digest { return digest(u.take(len(digest{}))) }
func (u *unpacker) flag() bool     { return u.take(1)[0] == 1 }

// pack writes a held event.
func (h *held) pack(p *packer) {
	p.reset(recordHeld)
	p.int(h.date)
	p.flag(h.dated)
	p.text(h.leftOut)
	p.int(int64(h.fate))
	p.text(h.group)
	p.text(h.stream)
	p.int(int64(len(h.exact)))
	for i := range h.exact {
		p.digest(h.exact[i])
		p.digest(h.lax[i])
	}
}

// unpackHeld reads one, behind its kind.
func unpackHeld(u *unpacker) held {
	h := held{date: u.int(), dated: u.flag(), leftOut: u.text(), fate: u.fate(), group: u.text(), stream: u.text()}
	for range u.int() {
		if u.bad {
			break
		}
		h.exact, h.lax = append(h.exact, u.digest()), append(h.lax, u.digest())
	}
	return h
}

// pack writes a found event.
func (f *found) pack(p *packer) {
	p.reset(recordFound)
	p.int(f.copied.Timestamp.UnixMilli())
	p.text(f.copied.LogGroup)
	p.text(f.copied.LogStream)
	p.text(f.copied.EventID)
	p.int(f.copied.Ingested.UnixMilli())
	p.int(f.date)
	p.flag(f.dated)
	p.flag(f.enveloped)
	p.flag(f.elsewhere)
	p.flag(f.shared)
	p.digest(f.exact)
	p.digest(f.lax)
}

// unpackFound reads one, behind its kind.
func unpackFound(u *unpacker) found {
	var f found
	f.copied.Timestamp = milli(u.int())
	f.copied.LogGroup, f.copied.LogStream, f.copied.EventID = u.text(), u.text(), u.text()
	f.copied.Ingested = milli(u.int())
	f.date, f.dated, f.enveloped = u.int(), u.flag(), u.flag()
	f.elsewhere, f.shared = u.flag(), u.flag()
	f.exact, f.lax = u.digest(), u.digest()
	return f
}

// milli is the time of so many milliseconds since 1970.
func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
