package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A digest is the first half of a SHA-256: enough that nobody finds two messages with
// the same, and half of what a record takes.
type digest [sha256.Size / 2]byte

// digestOf returns that of some bytes.
func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:len(digest{})])
}

// The members in which the same event differs when it is pulled and when it is
// pushed: a pull repeats the log_id, says isMobile, and gives the user agent as it
// was understood instead of as it was sent.
const (
	memberID        = "_id"
	memberLogID     = "log_id" // an envelope may have it in the place of the event
	memberUserAgent = "user_agent"
	memberIsMobile  = "isMobile"
	memberMobile    = "is_mobile"
)

// laxDigest returns what stays the same of a message whatever way its event came, in
// whatever order its members are: it leaves out the members in which the ways differ,
// and copies of them. Of a message that was trimmed it leaves out what was trimmed in:
// where the cut is depends on the rest.
func laxDigest(message []byte, copies []string) digest {
	dec := json.NewDecoder(bytes.NewReader(event.Body(message)))
	dec.UseNumber()
	var members map[string]any
	if dec.Decode(&members) != nil {
		return digestOf(message)
	}
	if _, err := dec.Token(); err != io.EOF {
		return digestOf(message)
	}
	for _, name := range []string{memberID, memberLogID, memberUserAgent, memberIsMobile, memberMobile} {
		delete(members, name)
	}
	for _, name := range copies {
		delete(members, name)
	}
	if mark, ok := members["gapless"].(map[string]any); ok && mark["trimmed"] != nil {
		delete(members, "gapless")
		delete(members, "details")
	}
	canonical, err := json.Marshal(members) // the members in the order of their names
	if err != nil {
		return digestOf(message)
	}
	return digestOf(canonical)
}
