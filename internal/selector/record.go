package selector

import (
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
)

// EachMember calls fn for the members of an event, in their order and without what
// envelopes there are around them, until fn returns false. It reads the bytes as they
// are; nothing is encoded again.
func EachMember(e event.Event, fn func(key string, value gjson.Result) bool) {
	gjson.ParseBytes(event.Body(e.Raw)).ForEach(func(key, value gjson.Result) bool { return fn(key.Str, value) })
}

// decode returns an event as the expression sees it, without the members that it
// does not look at.
func (x *Expression) decode(e event.Event) map[string]any {
	m := make(map[string]any, len(texts)+len(x.members))
	EachMember(e, func(key string, value gjson.Result) bool {
		if _, again := m[key]; !again && (x.whole || slices.Contains(x.members, key)) {
			m[key] = plain(value)
		}
		return true
	})
	for _, name := range texts {
		if _, ok := m[name].(string); !ok {
			m[name] = ""
		}
	}
	m["log_id"], m["type"] = e.LogID, e.Type
	if m["date"] == "" {
		m["date"] = e.Date.UTC().Format(time.RFC3339Nano)
	}
	return m
}

// plain returns a JSON value as a value of Go: whole numbers as int, others as
// float64.
func plain(v gjson.Result) any {
	switch {
	case v.IsObject():
		m := make(map[string]any)
		v.ForEach(func(key, value gjson.Result) bool {
			if _, again := m[key.Str]; !again {
				m[key.Str] = plain(value)
			}
			return true
		})
		return m
	case v.IsArray():
		list := []any{}
		v.ForEach(func(_, value gjson.Result) bool {
			list = append(list, plain(value))
			return true
		})
		return list
	case v.Type == gjson.Number:
		if n, err := strconv.Atoi(v.Raw); err == nil {
			return n
		}
		return v.Num
	default:
		return v.Value()
	}
}
