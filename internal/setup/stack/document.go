package stack

import (
	"encoding/json"
	"fmt"
	"unicode"
)

// policyVersion is the version of the language of policies.
const policyVersion = "2012-10-17"

// A document is a policy of IAM, in the order in which it is written.
type document struct {
	Version   string
	Statement []statement
}

// A statement allows something.
type statement struct {
	Sid       string `json:",omitempty"` //nolint:tagliatelle // AWS's name
	Effect    string
	Principal map[string]string `json:",omitempty"` //nolint:tagliatelle // AWS's name
	Action    []string
	Resource  []string                     `json:",omitempty"` //nolint:tagliatelle // AWS's name
	Condition map[string]map[string]string `json:",omitempty"` //nolint:tagliatelle // AWS's name
}

// maxPolicy is how long a managed policy may be, in characters that are no space.
const maxPolicy = 6144

// text returns the canonical JSON of a document.
func (d document) text() (string, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("write policy: %w", err)
	}
	return string(b), nil
}

// visible counts the characters of a text that count towards maxPolicy.
func visible(text string) (n int) {
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
