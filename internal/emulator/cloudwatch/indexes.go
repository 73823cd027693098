package cloudwatch

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// The limits of field indexes, and of what is asked about them at once. Field index
// syntax and quotas, Amazon CloudWatch Logs User Guide; PutIndexPolicy and
// DescribeIndexPolicies, API reference.
const (
	maxIndexFields   = 20
	maxIndexField    = 100
	maxIndexPolicy   = 51200
	maxIndexedGroups = 100
)

// indexInput is the input of the operations on the index policy of a group.
type indexInput struct {
	Identifier *string `json:"logGroupIdentifier"`
}

// resource implements input: IAM knows no single group here.
func (*indexInput) resource(arns) []string { return []string{"*"} }

func (in *indexInput) checks() *checks {
	c := new(checks)
	if c.required("logGroupIdentifier", in.Identifier != nil) {
		c.text("logGroupIdentifier", in.Identifier, 1, maxIdentifier, &identifier)
	}
	return c
}

type putIndexInput struct {
	indexInput
	Document *string `json:"policyDocument"`
}

// An indexPolicy is a policy as it is shown.
type indexPolicy struct {
	Group    string `json:"logGroupIdentifier"`
	Updated  int64  `json:"lastUpdateTime"`
	Document string `json:"policyDocument"`
	Source   string `json:"source"`
}

// shownIndexes returns the policy of a group.
func (g *logGroup) shownIndexes(a arns) indexPolicy {
	return indexPolicy{a.group(g.Name), g.Indexed, g.Indexes, "LOG_GROUP"}
}

func (s *Server) putIndexPolicy(c *call, in *putIndexInput) (any, error) {
	check := in.checks()
	if check.required("policyDocument", in.Document != nil) {
		check.text("policyDocument", in.Document, 1, maxIndexPolicy, nil)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if err := checkIndexes(*in.Document); err != nil {
		return nil, err
	}
	name, ok := c.arns.named(*in.Identifier)
	if !ok {
		return nil, errNoGroup
	}
	emulator.Note(c.ctx, slog.String("group", name))
	var shown indexPolicy
	err := s.store.changeGroup(name, func(g *logGroup) error {
		if g.Class != classStandard {
			return invalidParameter("Field indexes are supported for log groups of the Standard log class only.")
		}
		g.Indexes, g.Indexed = *in.Document, nowMillis()
		shown = g.shownIndexes(c.arns)
		return nil
	})
	return map[string]indexPolicy{"indexPolicy": shown}, err
}

// checkIndexes refuses a document that is no index policy.
func checkIndexes(document string) error {
	var doc struct {
		Fields   []string                   `json:"Fields"`
		FieldsV2 map[string]json.RawMessage `json:"FieldsV2"`
	}
	if err := strict([]byte(document), &doc); err != nil {
		return invalidParameter("The policyDocument is not valid.")
	}
	fields := slices.AppendSeq(doc.Fields, maps.Keys(doc.FieldsV2))
	if len(fields) == 0 || len(fields) > maxIndexFields {
		return invalidParameter("A field index policy must have 1 to %d fields.", maxIndexFields)
	}
	for _, f := range fields {
		if f == "" || len([]rune(f)) > maxIndexField {
			return invalidParameter("A field of a field index policy must have 1 to %d characters.", maxIndexField)
		}
	}
	return nil
}

func (s *Server) deleteIndexPolicy(c *call, in *indexInput) (any, error) {
	if err := in.checks().err(); err != nil {
		return nil, err
	}
	name, ok := c.arns.named(*in.Identifier)
	if !ok {
		return nil, errNoGroup
	}
	emulator.Note(c.ctx, slog.String("group", name))
	return struct{}{}, s.store.changeGroup(name, func(g *logGroup) error {
		if g.Indexes == "" {
			return errNoResource
		}
		g.Indexes, g.Indexed = "", 0
		return nil
	})
}

type describeIndexesInput struct {
	Identifiers []string `json:"logGroupIdentifiers"`
	NextToken   *string  `json:"nextToken"`
}

// resource implements input.
func (*describeIndexesInput) resource(arns) []string { return []string{"*"} }

func (s *Server) describeIndexPolicies(c *call, in *describeIndexesInput) (any, error) {
	var check checks
	if check.required("logGroupIdentifiers", in.Identifiers != nil) {
		check.count("logGroupIdentifiers", "[]", len(in.Identifiers), 1, maxIndexedGroups)
	}
	for i := range in.Identifiers {
		check.text("logGroupIdentifiers."+strconv.Itoa(i+1)+".member", &in.Identifiers[i], 1, maxIdentifier, &identifier)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if in.NextToken != nil { // one page holds all that may be asked for
		return nil, errToken
	}
	shown := []indexPolicy{}
	err := s.store.view(func(groups map[string]*logGroup) error {
		for _, id := range in.Identifiers {
			name, _ := c.arns.named(id)
			g, ok := groups[name]
			if !ok {
				return errNoGroup
			}
			if g.Indexes != "" {
				shown = append(shown, g.shownIndexes(c.arns))
			}
		}
		return nil
	})
	return map[string][]indexPolicy{"indexPolicies": shown}, err
}

// keyInput is the input of AssociateKmsKey and DisassociateKmsKey, for a log group. The
// key of query results is not emulated.
type keyInput struct {
	groupInput
	Key *string `json:"kmsKeyId"`
}

func (s *Server) associateKey(c *call, in *keyInput) (any, error) {
	check := in.checks()
	if check.required("kmsKeyId", in.Key != nil) {
		check.text("kmsKeyId", in.Key, 0, maxKMSKey, nil)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if !kmsKeyARN.MatchString(*in.Key) {
		return nil, invalidParameter("The specified KMS Key Id could not be found. '%s'", *in.Group)
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group))
	return nil, s.store.changeGroup(*in.Group, func(g *logGroup) error {
		g.KMSKey = *in.Key
		return nil
	})
}

func (s *Server) disassociateKey(c *call, in *groupInput) (any, error) {
	if err := in.checks().err(); err != nil {
		return nil, err
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group))
	return nil, s.store.changeGroup(*in.Group, func(g *logGroup) error {
		g.KMSKey = ""
		return nil
	})
}
