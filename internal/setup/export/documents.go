package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// renderDocuments implements Render: the policy first, and who may assume roles and
// send to queues.
func renderDocuments(s stack.Stack, o Options) (Result, error) {
	d := &documents{o: o, taken: make(names), account: o.Account, partition: o.Partition}
	if d.account == "" {
		d.account = AccountPlaceholder
		d.note("Put the number of your AWS account in the place of " + AccountPlaceholder + ", or give --account.")
	}
	if d.partition == "" {
		d.partition = partitionOf(o.Region)
	}
	rest := 0
	for _, r := range s.Resources {
		var err error
		switch r := r.(type) {
		case *stack.Policy:
			err = d.add("policy-"+slug(r.Name, '-'), r.Document)
		case *stack.Role:
			err = d.add("trust-of-"+slug(r.Name, '-'), r.Trust)
		case *stack.Queue:
			if r.Policy != "" {
				err = d.add("policy-of-queue-"+slug(r.Name, '-'), r.Policy)
			}
		default:
			rest++
		}
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", r.ID(), err)
		}
	}
	if len(d.files) == 0 {
		return Result{}, errors.New("the stack has no policy: the part access is left out")
	}
	if rest > 0 {
		d.note(fmt.Sprintf("These are documents of policies alone; %d other resources of the stack are not among them.", rest))
	}
	// The policy that gapless needs is first, whatever the order of the stack.
	slices.SortStableFunc(d.files, func(a, b File) int {
		return strings.Compare(weight(a.Name), weight(b.Name))
	})
	return Result{Files: d.files, Notes: d.notes}, nil
}

// weight orders the files.
func weight(name string) string {
	for i, prefix := range []string{"policy-of-", "policy-", "trust-"} {
		if strings.HasPrefix(name, prefix) {
			return [...]string{"2", "0", "1"}[i]
		}
	}
	return "3"
}

// documents collects files of JSON.
type documents struct {
	o                  Options
	taken              names
	account, partition string
	files              []File
	notes              []string
}

// note adds a note once.
func (d *documents) note(text string) {
	if !slices.Contains(d.notes, text) {
		d.notes = append(d.notes, text)
	}
}

// add adds a document, with values in the place of its tokens.
func (d *documents) add(name, document string) error {
	v, err := parse(document)
	if err != nil {
		return err
	}
	d.files = append(d.files, File{d.taken.take(name) + ".json", []byte(pretty(d.fill(v)) + "\n")})
	return nil
}

// fill puts values in the place of tokens. What only AWS or Auth0 knows is a
// placeholder.
func (d *documents) fill(v any) any {
	switch v := v.(type) {
	case string:
		return d.text(v)
	case list:
		out := make(list, 0, len(v))
		for _, x := range v {
			out = append(out, d.fill(x))
		}
		return out
	case object:
		out := make(object, 0, len(v))
		for _, m := range v {
			out = append(out, member{d.text(m.key), d.fill(m.value)})
		}
		return out
	default:
		return v
	}
}

// text does so for one text.
func (d *documents) text(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		switch p.token {
		case "":
			b.WriteString(p.text)
		case stack.Account:
			b.WriteString(d.account)
		case stack.Partition:
			b.WriteString(d.partition)
		default:
			name := strings.ToUpper(identifier(string(p.ref.kind) + " " + p.ref.value))
			d.note(fmt.Sprintf("Put the %s of the %s %s in the place of %s.", strings.ReplaceAll(p.ref.value, "_", " "), p.ref.kind, p.ref.name, name))
			b.WriteString(name)
		}
	}
	return b.String()
}

// partitionOf returns the partition of a Region. Source: the Region names of the
// endpoints of AWS.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}
