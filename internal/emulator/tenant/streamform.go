package tenant

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/gjson"
)

// pushedForm turns events into the form in which log streams push them: an
// object with the log_id and the record, {"log_id":"...","data":{...}}. The record
// differs from the one that the Management API hands out, as recorded requests
// show: it has neither _id nor isMobile, and its user_agent is the header as the
// browser sent it, or "unknown".
type pushedForm struct {
	pii *piiConfig
}

// appendTo appends the event.
func (f pushedForm) appendTo(dst []byte, e entry) []byte {
	dst = appendString(append(dst, `{"log_id":`...), e.id)
	dst = append(dst, `,"data":`...)
	record := gjson.ParseBytes(e.raw)
	sep := byte('{')
	record.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if name == "_id" || name == "isMobile" {
			return true
		}
		dst = append(dst, sep)
		sep = ','
		dst = append(append(dst, key.Raw...), ':')
		if name == "user_agent" && value.Type == gjson.String {
			dst = appendString(dst, rawAgent(value.String()))
		} else {
			dst = f.appendValue(dst, name, value)
		}
		return true
	})
	if sep == '{' {
		dst = append(dst, '{')
	}
	return append(dst, "}}"...)
}

// rawAgent is the header behind the parsed form of a user agent.
func rawAgent(parsed string) string {
	for _, b := range browsers {
		if b.parsed == parsed {
			return b.raw
		}
	}
	return orElse(parsed, "unknown")
}

// The methods of pii_config, and the algorithm of the second one.
const (
	piiMask      = "mask"
	piiHash      = "hash"
	piiAlgorithm = "xxhash"
)

// piiMembers are the members that a field of pii_config stands for (Auth0 docs:
// log streams). How deep in an event Auth0 looks for them is not told; here they
// are found at any depth.
var piiMembers = map[string][]string{
	"first_name": {"first_name", "given_name", "name"},
	"last_name":  {"last_name", "family_name", "name"},
	"username":   {"username", "user_name"},
	"email":      {"email"},
	"phone":      {"phone", "phone_number", "old_phone_number", "new_phone_number"},
	"address":    {"address"},
}

// appendValue appends the value of a member, with what pii_config names hidden.
// Without such a configuration the bytes stay as they are.
func (f pushedForm) appendValue(dst []byte, name string, value gjson.Result) []byte {
	switch {
	case f.pii == nil:
		return append(dst, value.Raw...)
	case value.IsObject():
		sep := ""
		dst = append(dst, '{')
		value.ForEach(func(key, inner gjson.Result) bool {
			dst = append(append(append(dst, sep...), key.Raw...), ':')
			dst = f.appendValue(dst, key.String(), inner)
			sep = ","
			return true
		})
		return append(dst, '}')
	case value.IsArray():
		sep := ""
		dst = append(dst, '[')
		value.ForEach(func(_, inner gjson.Result) bool {
			dst = f.appendValue(append(dst, sep...), name, inner)
			sep = ","
			return true
		})
		return append(dst, ']')
	case value.Type == gjson.String && f.hides(name):
		return f.appendHidden(dst, value.String())
	default:
		return append(dst, value.Raw...)
	}
}

func (f pushedForm) hides(name string) bool {
	for _, field := range f.pii.LogFields {
		if slices.Contains(piiMembers[field], name) {
			return true
		}
	}
	return false
}

// appendHidden appends asterisks or a hash in the place of a text.
func (f pushedForm) appendHidden(dst []byte, text string) []byte {
	if f.pii.Method == piiMask {
		return append(dst, `"*****"`...)
	}
	return fmt.Appendf(dst, `"%016x"`, xxhash.Sum64String(text))
}

// body returns a request's body in one of the content formats. The record at the
// index broken, if there is one, is cut into nonsense with its brackets whole, so
// that its neighbours can be told apart from it.
func (f pushedForm) body(format string, batch []item, broken int) []byte {
	open, sep, end := "", "\n", "\n"
	switch format {
	case formatArray:
		open, sep, end = "[", ",", "]"
	case formatObject:
		open, sep, end = `{"logs":[`, ",", "]}"
	}
	dst := []byte(open)
	for i, it := range batch {
		if i > 0 {
			dst = append(dst, sep...)
		}
		if i == broken {
			dst = appendString(append(dst, `{"log_id":`...), it.id)
			dst = append(dst, `,"data":{"date":,"type"}}`...)
			continue
		}
		dst = f.appendTo(dst, it.entry)
	}
	return append(dst, end...)
}

// envelope wraps an event as Amazon EventBridge hands it to targets. Each call
// makes another id, as EventBridge does.
func (f pushedForm) envelope(sink streamSink, e entry, rng *rand.Rand, now time.Time) []byte {
	var b strings.Builder
	b.WriteString(`{"version":"0","id":"` + randomUUID(rng) + `","detail-type":"Auth0 log","source":`)
	b.Write(appendString(nil, sink.PartnerSource))
	b.WriteString(`,"account":"` + sink.AWSAccountID + `","time":` + strconv.Quote(now.UTC().Format(time.RFC3339)))
	b.WriteString(`,"region":"` + sink.AWSRegion + `","resources":[],"detail":`)
	b.Write(f.appendTo(nil, e))
	b.WriteByte('}')
	return []byte(b.String())
}

// randomUUID returns a version 4 UUID out of rng.
func randomUUID(rng *rand.Rand) string {
	high, low := rng.Uint64(), rng.Uint64()
	high = high&^0xf000 | 0x4000
	low = low&^(0b11<<62) | 0b10<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xffff, high&0xffff, low>>48, low&(1<<48-1))
}
