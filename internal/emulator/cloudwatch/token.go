package cloudwatch

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
)

// tokenLife is how long a token of a list can be used, in milliseconds.
const tokenLife = dayMillis

// A pageToken is what a nextToken of a list says. Clients see it as opaque text.
type pageToken struct {
	// After is the last name of a page of groups or streams.
	After string `json:"a,omitempty"`
	// AfterTime belongs to streams in the order of their last events.
	AfterTime int64 `json:"t,omitempty"`
	// Seq, together with AfterTime, is where a page of events ends.
	Seq uint64 `json:"s,omitempty"`
	// Backward says that the events come newest first.
	Backward bool `json:"b,omitempty"`
	// Query is the hash of what was asked for: a token is good for that alone.
	Query uint64 `json:"q"`
	// Issued is when the token was made.
	Issued int64 `json:"i"`
}

// hashQuery condenses the parameters that a token is bound to.
func hashQuery(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(strconv.Quote(p))) // a hash never fails
	}
	return h.Sum64()
}

func (t pageToken) encode(now int64) *string {
	t.Issued = now
	data, _ := json.Marshal(t) // a struct of strings and numbers always encodes
	sum := fnv.New32a()
	_, _ = sum.Write(data) // a hash never fails
	text := base64.RawURLEncoding.EncodeToString(sum.Sum(data))
	return &text
}

// decodeToken reads a token for the given query.
func decodeToken(text string, query uint64, now int64) (pageToken, error) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(data) < 4 {
		return pageToken{}, errToken
	}
	body, tail := data[:len(data)-4], data[len(data)-4:]
	sum := fnv.New32a()
	_, _ = sum.Write(body) // a hash never fails
	if string(sum.Sum(nil)) != string(tail) {
		return pageToken{}, errToken
	}
	var t pageToken
	if err := json.Unmarshal(body, &t); err != nil || t.Query != query || now-t.Issued > tokenLife {
		return pageToken{}, errToken
	}
	return t, nil
}

// The tokens of GetLogEvents are f/ or b/ and the 56 digits of a position: the
// events behind it, or those before it.
const (
	forwardToken  = "f/"
	backwardToken = "b/"
)

// parseEventToken reads a token of GetLogEvents.
func parseEventToken(text string) (p position, forward bool, err error) {
	digits, forward := strings.CutPrefix(text, forwardToken)
	if !forward {
		var backward bool
		if digits, backward = strings.CutPrefix(text, backwardToken); !backward {
			return position{}, false, errToken
		}
	}
	p, ok := parsePosition(digits)
	if !ok {
		return position{}, false, errToken
	}
	return p, forward, nil
}
