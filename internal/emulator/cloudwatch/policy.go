package cloudwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A policy is an identity-based IAM policy without conditions.
type policy struct {
	statements []statement
}

type statement struct {
	deny                   bool
	actions, notActions    texts
	resources, notResource texts
}

// texts is a string or a list of strings.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return json.Unmarshal(data, (*[]string)(t))
	}
	*t = make(texts, 1)
	return json.Unmarshal(data, &(*t)[0])
}

type statementJSON struct {
	Sid         string          `json:"Sid"`
	Effect      string          `json:"Effect"`
	Action      texts           `json:"Action"`
	NotAction   texts           `json:"NotAction"`
	Resource    texts           `json:"Resource"`
	NotResource texts           `json:"NotResource"`
	Condition   json.RawMessage `json:"Condition"`
}

// statementsJSON is a statement or a list of statements.
type statementsJSON []statementJSON

// UnmarshalJSON implements json.Unmarshaler.
func (s *statementsJSON) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return strict(data, (*[]statementJSON)(s))
	}
	*s = make(statementsJSON, 1)
	return strict(data, &(*s)[0])
}

// strict decodes JSON and refuses members that it does not know: a policy that
// is half understood allows too much.
func strict(data []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(to)
}

func parsePolicy(text string) (*policy, error) {
	var doc struct {
		Version   string         `json:"Version"`
		ID        string         `json:"Id"`
		Statement statementsJSON `json:"Statement"`
	}
	if err := strict([]byte(text), &doc); err != nil {
		return nil, err
	}
	p := new(policy)
	for i, s := range doc.Statement {
		if err := s.validate(); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		p.statements = append(p.statements, statement{
			deny: s.Effect == "Deny", actions: s.Action, notActions: s.NotAction,
			resources: s.Resource, notResource: s.NotResource,
		})
	}
	return p, nil
}

func (s statementJSON) validate() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("effect is %q; want Allow or Deny", s.Effect)
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return errors.New("want either Action or NotAction")
	case (len(s.Resource) == 0) == (len(s.NotResource) == 0):
		return errors.New("want either Resource or NotResource")
	case len(s.Condition) > 0:
		return errors.New("conditions are not supported")
	}
	return nil
}

// A verdict is what a policy says of a request.
type verdict int

const (
	implicitDeny verdict = iota
	explicitDeny
	allowed
)

// decide evaluates an action on a resource that goes by several names: an
// explicit deny wins over any allow.
func (p *policy) decide(action string, resources []string) verdict {
	result := implicitDeny
	for _, s := range p.statements {
		if !s.covers(action, resources) {
			continue
		}
		if s.deny {
			return explicitDeny
		}
		result = allowed
	}
	return result
}

func (s statement) covers(action string, resources []string) bool {
	action = strings.ToLower(action)
	hitsAction := func(pattern string) bool { return glob(strings.ToLower(pattern), action) }
	if s.actions != nil && !slices.ContainsFunc(s.actions, hitsAction) ||
		s.notActions != nil && slices.ContainsFunc(s.notActions, hitsAction) {
		return false
	}
	hits := func(pattern string) bool {
		return slices.ContainsFunc(resources, func(r string) bool { return glob(pattern, r) })
	}
	if s.resources != nil {
		return slices.ContainsFunc(s.resources, hits)
	}
	return !slices.ContainsFunc(s.notResource, hits)
}

// glob reports whether s matches a pattern in which * stands for any text and ?
// for any one character.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p, i = p+1, i+1
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// authorize asks the policy of the caller, if there is one.
func (c *call) authorize(action string, resources []string) error {
	if c.user == nil || c.user.policy == nil {
		return nil
	}
	reason := "because no identity-based policy allows the " + action + " action"
	switch c.user.policy.decide(action, resources) {
	case allowed:
		return nil
	case explicitDeny:
		reason = "with an explicit deny in an identity-based policy"
	case implicitDeny:
	}
	return newError("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s %s",
		c.arns.user(c.user.name), action, resources[0], reason)
}

// authorizeTagging asks whether the caller may tag a new group, for which either
// of two permissions will do.
func (c *call) authorizeTagging(group string) error {
	resources := []string{c.arns.group(group), c.arns.stream(group, "")}
	if c.authorize("logs:TagLogGroup", resources) == nil {
		return nil
	}
	return c.authorize("logs:TagResource", resources)
}
