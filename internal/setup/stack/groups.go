package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// The classes of log groups; AWS takes the first when none is given.
const (
	ClassStandard   = "STANDARD"
	ClassInfrequent = "INFREQUENT_ACCESS"
)

// A target is a destination of a tenant as AWS sees it.
type target struct {
	// path is that of the destination in the configuration, for messages.
	path string
	// name is TENANT/NAME, as --destination takes it.
	name string
	cw   *config.CloudWatch
	aws  config.AWS
	// group and stream have the tenant in the place of {tenant}; other placeholders
	// stay.
	group, stream string
}

// targets returns the destinations of all tenants, in the order of the configuration.
func targets(cfg *config.Config) (out []target) {
	for i := range cfg.Tenants {
		t := &cfg.Tenants[i]
		add := func(path, sink string, cw *config.CloudWatch, aws config.AWS) {
			name := strings.NewReplacer("{tenant}", t.Name)
			out = append(out, target{path, t.Name + "/" + sink, cw, aws, name.Replace(cw.LogGroup), name.Replace(cw.LogStream)})
		}
		add(fmt.Sprintf("tenants.%d.cloudwatch", i), "cloudwatch", &t.CloudWatch, cfg.AWSFor(*t))
		for n := range t.Destinations {
			d := &t.Destinations[n]
			add(fmt.Sprintf("tenants.%d.destinations.%d", i, n), d.Name, &d.CloudWatch, cfg.AWSForDestination(*d))
		}
	}
	return out
}

// templated reports whether a name depends on events.
func templated(name string) bool { return strings.Contains(name, "{") }

// madeHere reports whether the group of a destination is made, by name and account.
func (t *target) madeHere(o *Options) bool { return !templated(t.group) && t.here(o) }

// here reports whether a destination lies in the account that setup works in, as far
// as is known: one with a role does when the role does.
func (t *target) here(o *Options) bool {
	return t.aws.RoleARN == "" || o.Account != "" && accountOf(t.aws.RoleARN) == o.Account
}

// accountOf returns the account in an ARN.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// class is the class of the group of a destination.
func (t *target) class() string {
	if t.cw.LogGroupClass == "" {
		return ClassStandard
	}
	return t.cw.LogGroupClass
}

// addGroups adds the log groups and streams of all destinations.
func addGroups(cfg *config.Config, o Options, s *Stack) error {
	m := merger{o: &o, groups: map[ID]*LogGroup{}, from: map[ID]string{}, streams: map[ID]bool{}}
	for _, t := range targets(cfg) {
		if t.aws.Region == "" {
			return fmt.Errorf("the Region of %s is not known: set aws.region, or the variable AWS_REGION", t.path)
		}
		switch {
		case !t.here(&o):
			s.note("%s is reached by the role %s: its log group is made in that account, with `gapless setup apply --destination %s` and credentials of it.", t.path, t.aws.RoleARN, t.name)
			continue
		case templated(t.group):
			s.note("The log group %s (%s) depends on events: gapless makes such groups itself when they are needed, and field indexes, queries and alarms leave them out.", t.group, t.path)
			continue
		case templated(t.stream):
			s.note("The log stream %s of %s (%s) depends on events: gapless makes such streams itself.", t.stream, t.group, t.path)
		}
		if err := m.add(t); err != nil {
			return err
		}
	}
	for _, g := range m.groups {
		if len(g.Tags) > maxTags {
			return fmt.Errorf("the log group %s would have %d tags with those of setup, and AWS takes %d: take some away", g.Name, len(g.Tags), maxTags)
		}
	}
	for _, r := range m.made {
		if g, ok := r.(*LogGroup); ok && g.KMSKey != "" {
			s.note("The policy of the key %s must let logs.%s.amazonaws.com use it: setup cannot see whether it does.", g.KMSKey, g.Region)
		}
	}
	s.Resources = append(s.Resources, m.made...)
	return nil
}

// maxTags is how many tags a log group takes.
const maxTags = 50

// note adds a note.
func (s *Stack) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// A merger makes one group of those that several destinations share.
type merger struct {
	o       *Options
	groups  map[ID]*LogGroup
	from    map[ID]string // the destination that a group was first seen with
	streams map[ID]bool
	made    []Resource
}

// add adds the group of a destination, and its stream.
func (m *merger) add(t target) error {
	g := &LogGroup{
		Region: t.aws.Region, Name: t.group, RetentionDays: t.cw.RetentionDays, Class: t.class(), KMSKey: t.cw.KMSKeyID,
		Tags: m.o.tags(t.cw.Tags), Protected: m.o.Protected,
	}
	id := g.ID()
	if known, ok := m.groups[id]; ok {
		if err := merge(known, g, m.from[id], t.path); err != nil {
			return err
		}
	} else {
		m.groups[id], m.from[id] = g, t.path
		m.made = append(m.made, g)
	}
	st := &LogStream{Region: t.aws.Region, Group: t.group, Name: t.stream}
	if !templated(t.stream) && !m.streams[st.ID()] {
		m.streams[st.ID()] = true
		m.made = append(m.made, st)
	}
	return nil
}

// merge adds the tags of another wish for a group, and refuses one that contradicts.
func merge(known, more *LogGroup, first, second string) error {
	differ := func(setting string, a, b any) error {
		return fmt.Errorf("%s and %s share the log group %s, and want %s %v and %v: write the same in both, or give them groups of their own",
			first, second, known.Name, setting, a, b)
	}
	switch {
	case known.RetentionDays != more.RetentionDays:
		return differ("retention_days", known.RetentionDays, more.RetentionDays)
	case known.Class != more.Class:
		return differ("log_group_class", known.Class, more.Class)
	case known.KMSKey != more.KMSKey:
		return differ("kms_key_id", orNone(known.KMSKey), orNone(more.KMSKey))
	}
	for _, k := range slices.Sorted(maps.Keys(more.Tags)) {
		if v, both := known.Tags[k]; both && v != more.Tags[k] {
			return differ("tags."+k, v, more.Tags[k])
		}
		known.Tags[k] = more.Tags[k]
	}
	return nil
}

// orNone names what is empty.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// tags returns the tags of a resource: those of setup, with more for this one, and
// the one that says that setup made it.
func (o *Options) tags(more map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, o.Tags)
	maps.Copy(out, more)
	out[ManagedBy] = o.Name
	return out
}
