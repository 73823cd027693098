package source

import "time"

// A StartFrom says where the export of a tenant begins that has no cursor yet.
// The zero value is Earliest.
type StartFrom struct {
	kind startKind
	at   time.Time
	ago  time.Duration
	id   string
}

type startKind uint8

const (
	startEarliest startKind = iota
	startLatest
	startTime
	startAgo
	startID
)

// Earliest begins with the oldest event that Auth0 still keeps.
func Earliest() StartFrom { return StartFrom{} }

// Latest begins with what happens after the first start.
func Latest() StartFrom { return StartFrom{kind: startLatest} }

// At begins with the events of a time.
func At(t time.Time) StartFrom { return StartFrom{kind: startTime, at: t.UTC()} }

// Ago begins that long before the first start, by Auth0's clock. A later start
// does not move it.
func Ago(d time.Duration) StartFrom { return StartFrom{kind: startAgo, ago: d} }

// Behind begins behind the event of a log_id.
func Behind(logID string) StartFrom { return StartFrom{kind: startID, id: logID} }
