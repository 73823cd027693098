package provision

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
)

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// asWanted returns the text of a wanted document when a document that IAM holds says
// the same, so that the two compare as equal, and the text of the latter otherwise.
// IAM encodes documents as in URLs.
func asWanted(held, wanted string) string {
	if plain, err := url.PathUnescape(held); err == nil {
		held = plain
	}
	if sameDocument(held, wanted) {
		return wanted
	}
	if text, err := compact(held); err == nil {
		return text
	}
	return held
}

// compact writes JSON without spaces.
func compact(text string) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", fmt.Errorf("read document: %w", err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write document: %w", err)
	}
	return string(b), nil
}

// sameDocument reports whether two policies say the same: a single value may stand in
// the place of a list of one, and the order of a list does not matter.
func sameDocument(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(normal(x), normal(y))
}

// normal brings the forms of a policy that mean the same into one.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, member := range v {
			out[k] = normal(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, member := range v {
			out[i] = normal(member)
		}
		slices.SortFunc(out, func(a, b any) int {
			x, y := fmt.Sprint(a), fmt.Sprint(b) // maps print in the order of their keys
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			default:
				return 0
			}
		})
		if len(out) == 1 {
			return out[0]
		}
		return out
	default:
		return v
	}
}
