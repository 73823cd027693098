package cloudwatch

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// groupInput is the input of the operations that take a group and nothing else.
type groupInput struct {
	Group *string `json:"logGroupName"`
}

// resource implements input. Group-level actions are known to IAM under the
// first form; policies commonly use the second, which is documented as well.
func (in *groupInput) resource(a arns) []string {
	name := deref(in.Group)
	return []string{a.stream(name, ""), a.group(name)}
}

func (in *groupInput) checks() *checks {
	c := new(checks)
	if c.required("logGroupName", in.Group != nil) {
		c.group(in.Group)
	}
	return c
}

// kmsKeyARN is what kmsKeyId must look like. The emulator knows no keys: each one
// that looks right exists and may be used.
var kmsKeyARN = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$`)

type createGroupInput struct {
	groupInput
	KMSKey    *string           `json:"kmsKeyId"`
	Tags      map[string]string `json:"tags"`
	Class     *string           `json:"logGroupClass"`
	Protected *bool             `json:"deletionProtectionEnabled"`
}

func (in *createGroupInput) validate() error {
	c := in.checks()
	c.text("kmsKeyId", in.KMSKey, 0, maxKMSKey, nil)
	c.enum("logGroupClass", in.Class, logClasses)
	if in.Tags != nil {
		c.tags(in.Tags)
	}
	if err := c.err(); err != nil {
		return err
	}
	if strings.HasPrefix(*in.Group, "aws/") {
		return errReservedName
	}
	if key := deref(in.KMSKey); key != "" && !kmsKeyARN.MatchString(key) {
		return invalidParameter("The specified KMS Key Id could not be found. '%s'", *in.Group)
	}
	return reservedTags(in.Tags)
}

func (s *Server) createLogGroup(c *call, in *createGroupInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group))
	if len(in.Tags) > 0 {
		if err := c.authorizeTagging(*in.Group); err != nil {
			return nil, err
		}
	}
	return nil, s.store.createGroup(&logGroup{
		Name:      *in.Group,
		Created:   nowMillis(),
		Class:     orDefault(deref(in.Class), classStandard),
		KMSKey:    deref(in.KMSKey),
		Protected: deref(in.Protected),
		Tags:      in.Tags,
	})
}

func (s *Server) deleteLogGroup(c *call, in *groupInput) (any, error) {
	if err := in.checks().err(); err != nil {
		return nil, err
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group))
	return nil, s.store.deleteGroup(*in.Group)
}

type retentionInput struct {
	groupInput
	Days *int64 `json:"retentionInDays"`
}

func (s *Server) putRetentionPolicy(c *call, in *retentionInput) (any, error) {
	check := in.checks()
	check.required("retentionInDays", in.Days != nil)
	if err := check.err(); err != nil {
		return nil, err
	}
	if !slices.Contains(retentionDays, *in.Days) {
		return nil, invalidParameter("Invalid retention value. Valid values are: %s",
			strings.ReplaceAll(fmt.Sprint(retentionDays), " ", ", "))
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group), slog.Int64("days", *in.Days))
	return nil, s.store.changeGroup(*in.Group, func(g *logGroup) error {
		g.Retention = *in.Days
		return nil
	})
}

func (s *Server) deleteRetentionPolicy(c *call, in *groupInput) (any, error) {
	if err := in.checks().err(); err != nil {
		return nil, err
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group))
	return nil, s.store.changeGroup(*in.Group, func(g *logGroup) error {
		g.Retention = 0
		return nil
	})
}

type protectionInput struct {
	Identifier *string `json:"logGroupIdentifier"`
	Protected  *bool   `json:"deletionProtectionEnabled"`
}

// resource implements input.
func (in *protectionInput) resource(a arns) []string {
	name, _ := a.named(deref(in.Identifier))
	return []string{a.stream(name, ""), a.group(name)}
}

func (s *Server) putDeletionProtection(c *call, in *protectionInput) (any, error) {
	var check checks
	if check.required("logGroupIdentifier", in.Identifier != nil) {
		check.text("logGroupIdentifier", in.Identifier, 1, maxIdentifier, &identifier)
	}
	check.required("deletionProtectionEnabled", in.Protected != nil)
	if err := check.err(); err != nil {
		return nil, err
	}
	name, ok := c.arns.named(*in.Identifier)
	if !ok {
		return nil, errNoGroup
	}
	emulator.Note(c.ctx, slog.String("group", name))
	return nil, s.store.changeGroup(name, func(g *logGroup) error {
		g.Protected = *in.Protected
		return nil
	})
}

// named returns the group that an identifier, a name or an ARN, stands for.
func (a arns) named(id string) (string, bool) {
	if strings.HasPrefix(id, "arn:") {
		return a.groupOf(id)
	}
	return id, true
}

// target is the part of an input that says which group is meant.
type target struct {
	Group      *string `json:"logGroupName"`
	Identifier *string `json:"logGroupIdentifier"`
}

func (t *target) name(a arns) string {
	if t.Group != nil {
		return *t.Group
	}
	name, _ := a.named(deref(t.Identifier))
	return name
}

func (t *target) check(c *checks) {
	c.group(t.Group)
	c.text("logGroupIdentifier", t.Identifier, 1, maxIdentifier, &identifier)
}

// exclusive reports a request that gives both names of the group or neither.
func (t *target) exclusive() error {
	switch {
	case t.Group != nil && t.Identifier != nil:
		return errTwoGroups
	case t.Group == nil && t.Identifier == nil:
		return errNoGroupGiven
	default:
		return nil
	}
}

type describeGroupsInput struct {
	Accounts    []string `json:"accountIdentifiers"`
	Prefix      *string  `json:"logGroupNamePrefix"`
	Pattern     *string  `json:"logGroupNamePattern"`
	Class       *string  `json:"logGroupClass"`
	Identifiers []string `json:"logGroupIdentifiers"`
	Linked      *bool    `json:"includeLinkedAccounts"`
	NextToken   *string  `json:"nextToken"`
	Limit       *int64   `json:"limit"`
}

// resource implements input: IAM knows no single group here.
func (in *describeGroupsInput) resource(a arns) []string { return []string{a.stream("", "")} }

func (in *describeGroupsInput) validate() error {
	var c checks
	c.text("logGroupNamePrefix", in.Prefix, 1, maxName, &groupName)
	c.text("logGroupNamePattern", in.Pattern, 0, maxName, &groupPattern)
	c.text("nextToken", in.NextToken, 1, unlimited, nil)
	c.number("limit", in.Limit, 1, maxDescribe)
	c.enum("logGroupClass", in.Class, logClasses)
	c.count("accountIdentifiers", fmt.Sprint(in.Accounts), len(in.Accounts), 0, 20)
	for i := range in.Accounts {
		c.text("accountIdentifiers."+strconv.Itoa(i+1)+".member", &in.Accounts[i], 12, 12, &accountID)
	}
	if in.Identifiers != nil {
		c.count("logGroupIdentifiers", fmt.Sprint(in.Identifiers), len(in.Identifiers), 1, maxDescribe)
	}
	for i := range in.Identifiers {
		c.text("logGroupIdentifiers."+strconv.Itoa(i+1)+".member", &in.Identifiers[i], 1, maxIdentifier, &identifier)
	}
	if err := c.err(); err != nil {
		return err
	}
	if in.Prefix != nil && in.Pattern != nil {
		return errTwoFilters
	}
	if in.Identifiers != nil && (in.Prefix != nil || in.Pattern != nil || in.Class != nil) {
		return invalidParameter("logGroupIdentifiers cannot be combined with any other filter.")
	}
	return nil
}

type describeGroupsOutput struct {
	Groups    []groupItem `json:"logGroups"`
	NextToken *string     `json:"nextToken,omitempty"`
}

// groupItem is a group as DescribeLogGroups shows it. With a name pattern the
// members that are pointers are left out.
type groupItem struct {
	ARN           string `json:"arn"`
	Created       int64  `json:"creationTime"`
	Protected     *bool  `json:"deletionProtectionEnabled,omitempty"`
	KMSKey        string `json:"kmsKeyId,omitempty"`
	GroupARN      string `json:"logGroupArn"`
	Class         string `json:"logGroupClass"`
	Name          string `json:"logGroupName"`
	MetricFilters int    `json:"metricFilterCount"`
	Retention     int64  `json:"retentionInDays,omitempty"`
	StoredBytes   *int64 `json:"storedBytes,omitempty"`
}

func (s *Server) describeLogGroups(c *call, in *describeGroupsInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	now := nowMillis()
	query := hashQuery("groups", deref(in.Prefix), deref(in.Pattern), deref(in.Class),
		strings.Join(in.Identifiers, " "))
	after := ""
	if in.NextToken != nil {
		token, err := decodeToken(*in.NextToken, query, now)
		if err != nil {
			return nil, err
		}
		after = token.After
	}
	limit := maxDescribe
	if in.Limit != nil {
		limit = int(*in.Limit)
	}
	out := describeGroupsOutput{Groups: []groupItem{}}
	err := s.store.view(func(groups map[string]*logGroup) error {
		for _, name := range sortedNames(groups, deref(in.Prefix)) {
			if name <= after || !in.matches(groups[name], c.arns) {
				continue
			}
			if len(out.Groups) == limit {
				out.NextToken = pageToken{After: out.Groups[limit-1].Name, Query: query}.encode(now)
				break
			}
			out.Groups = append(out.Groups, in.item(groups[name], c.arns, now))
		}
		return nil
	})
	emulator.Note(c.ctx, slog.String("prefix", deref(in.Prefix)), slog.Int("groups", len(out.Groups)))
	return out, err
}

// matches applies the filters other than the prefix.
func (in *describeGroupsInput) matches(g *logGroup, a arns) bool {
	if !strings.Contains(g.Name, deref(in.Pattern)) || !in.includes(a.account) {
		return false
	}
	if in.Identifiers != nil && !slices.ContainsFunc(in.Identifiers, func(id string) bool {
		name, _ := a.named(id)
		return name == g.Name
	}) {
		return false
	}
	switch deref(in.Class) {
	case "":
		return true
	case classInfrequent, classEssentials: // each stands for both
		return g.Class == classInfrequent || g.Class == classEssentials
	default:
		return g.Class == *in.Class
	}
}

// includes reports whether the groups of an account are asked for. The emulator
// has one account and none that are linked to it.
func (in *describeGroupsInput) includes(account string) bool {
	return !deref(in.Linked) || len(in.Accounts) == 0 || slices.Contains(in.Accounts, account)
}

func (in *describeGroupsInput) item(g *logGroup, a arns, now int64) groupItem {
	item := groupItem{
		ARN:      a.group(g.Name) + ":*",
		Created:  g.Created,
		GroupARN: a.group(g.Name),
		Class:    g.Class,
		Name:     g.Name,
	}
	if in.Pattern == nil {
		item.Protected, item.StoredBytes = &g.Protected, new(g.storedBytes(now))
	}
	item.KMSKey, item.Retention = g.KMSKey, g.Retention
	return item
}
