package cloudwatch

import (
	"errors"
	"log/slog"
	"maps"
	"strings"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// arnInput is the input of ListTagsForResource.
type arnInput struct {
	ARN *string `json:"resourceArn"`
}

// resource implements input. Unlike all others, the tagging actions are known to
// IAM by the ARN without anything behind the name.
func (in *arnInput) resource(arns) []string { return []string{deref(in.ARN)} }

func (in *arnInput) checks() *checks {
	c := new(checks)
	if c.required("resourceArn", in.ARN != nil) {
		c.text("resourceArn", in.ARN, 1, maxARN, &resourceARN)
	}
	return c
}

// group returns the group that the ARN names.
func (in *arnInput) group(a arns) (string, error) {
	if !strings.HasPrefix(*in.ARN, "arn:") {
		return "", invalidParameter("Invalid resource ARN: %s", *in.ARN)
	}
	name, ok := a.groupOf(*in.ARN)
	if !ok {
		return "", errNoResource
	}
	return name, nil
}

type tagResourceInput struct {
	arnInput
	Tags map[string]string `json:"tags"`
}

func (s *Server) tagResource(c *call, in *tagResourceInput) (any, error) {
	check := in.checks()
	if check.required("tags", in.Tags != nil) {
		check.tags(in.Tags)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	group, err := in.group(c.arns)
	if err != nil {
		return nil, err
	}
	return nil, asResource(s.tag(c, group, in.Tags, &apiError{
		code: "TooManyTagsException", status: 400,
		message: "A resource can have at most 50 tags.",
		extra:   map[string]any{"resourceName": *in.ARN},
	}))
}

type untagResourceInput struct {
	arnInput
	Keys []string `json:"tagKeys"`
}

func (s *Server) untagResource(c *call, in *untagResourceInput) (any, error) {
	check := in.checks()
	if check.required("tagKeys", in.Keys != nil) {
		check.tagKeys("tagKeys", in.Keys, 0)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	group, err := in.group(c.arns)
	if err != nil {
		return nil, err
	}
	return nil, asResource(s.untag(c, group, in.Keys))
}

type tagsOutput struct {
	Tags map[string]string `json:"tags"`
}

func (s *Server) listTagsForResource(c *call, in *arnInput) (any, error) {
	if err := in.checks().err(); err != nil {
		return nil, err
	}
	group, err := in.group(c.arns)
	if err != nil {
		return nil, err
	}
	out, err := s.listTags(c, group)
	return out, asResource(err)
}

// asResource words the absence of a group as the operations do that know it only
// as a resource.
func asResource(err error) error {
	if errors.Is(err, errNoGroup) {
		return errNoResource
	}
	return err
}

type tagGroupInput struct {
	tagInput
	Tags map[string]string `json:"tags"`
}

// tagInput is groupInput with the resource form of the tagging actions.
type tagInput struct {
	groupInput
}

// resource implements input.
func (in *tagInput) resource(a arns) []string {
	name := deref(in.Group)
	return []string{a.group(name), a.stream(name, "")}
}

func (s *Server) tagLogGroup(c *call, in *tagGroupInput) (any, error) {
	check := in.checks()
	if check.required("tags", in.Tags != nil) {
		check.tags(in.Tags)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	return nil, s.tag(c, *in.Group, in.Tags, invalidParameter("A log group can have at most 50 tags."))
}

type untagGroupInput struct {
	tagInput
	Keys []string `json:"tags"`
}

func (s *Server) untagLogGroup(c *call, in *untagGroupInput) (any, error) {
	check := in.checks()
	if check.required("tags", in.Keys != nil) {
		check.tagKeys("tags", in.Keys, 1)
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	return nil, s.untag(c, *in.Group, in.Keys)
}

func (s *Server) listTagsLogGroup(c *call, in *tagInput) (any, error) {
	if err := in.checks().err(); err != nil {
		return nil, err
	}
	return s.listTags(c, *in.Group)
}

// tag adds tags to a group; tooMany is the error for more than it can have.
func (s *Server) tag(c *call, group string, tags map[string]string, tooMany error) error {
	emulator.Note(c.ctx, slog.String("group", group), slog.Int("tags", len(tags)))
	if err := reservedTags(tags); err != nil {
		return err
	}
	return s.store.changeGroup(group, func(g *logGroup) error {
		if g.Tags == nil {
			g.Tags = make(map[string]string, len(tags))
		}
		maps.Copy(g.Tags, tags)
		if len(g.Tags) > maxTags {
			return tooMany
		}
		return nil
	})
}

func (s *Server) untag(c *call, group string, keys []string) error {
	emulator.Note(c.ctx, slog.String("group", group), slog.Int("tags", len(keys)))
	return s.store.changeGroup(group, func(g *logGroup) error {
		for _, key := range keys {
			delete(g.Tags, key)
		}
		return nil
	})
}

func (s *Server) listTags(c *call, group string) (any, error) {
	emulator.Note(c.ctx, slog.String("group", group))
	out := tagsOutput{Tags: map[string]string{}}
	err := s.store.viewGroup(group, func(g *logGroup) error {
		maps.Copy(out.Tags, g.Tags)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// reservedTags refuses the keys that belong to AWS.
func reservedTags(tags map[string]string) error {
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalidParameter("aws: prefixed tag key names are not allowed for external use.")
		}
	}
	return nil
}
