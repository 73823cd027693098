package provision

import (
	"regexp"
	"slices"
)

// Fill returns text with values in the place of its tokens. A token that has no value
// stays, and missing names it.
//
// A provider fills the texts that it sends and compares; the stack itself keeps its
// tokens, so that a plan can be shown before there are values.
func Fill(text string, v Values) (filled string, missing []string) {
	filled = regexp.MustCompile(`\{\{[^{}]+\}\}`).ReplaceAllStringFunc(text, func(token string) string {
		value, ok := v[token]
		if !ok {
			if !slices.Contains(missing, token) {
				missing = append(missing, token)
			}
			return token
		}
		return value
	})
	return filled, missing
}
