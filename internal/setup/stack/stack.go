package stack

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Tokens for what differs between accounts.
const (
	// Account stands for the number of the AWS account.
	Account = "{{account}}"
	// Partition stands for the partition of AWS: aws, aws-cn or aws-us-gov.
	Partition = "{{partition}}"
)

// Ref is the token for a value that a resource is given when it is made, such as the
// URL of a queue. What values a kind has is said with its type.
func Ref(of Kind, name, value string) string {
	return "{{" + string(of) + ":" + name + ":" + value + "}}"
}

// A Kind names a type of resource, in the words in which plans tell of it.
type Kind string

// The part of a stack that a resource belongs to. Each can be left out.
const (
	PartGroups    = "groups"    // log groups and their streams
	PartAccess    = "access"    // the policy, and the identity that gapless runs as
	PartIndexes   = "indexes"   // field indexes
	PartQueries   = "queries"   // saved queries of Logs Insights
	PartMetrics   = "metrics"   // metric filters
	PartAlarms    = "alarms"    // alarms on those metrics
	PartDashboard = "dashboard" // a dashboard of CloudWatch
	PartAuth0     = "auth0"     // the application, and the log stream
	PartQueue     = "queue"     // event bus, rule and queue of the EventBridge way
)

// Parts returns the names of the parts, in the order in which they are made.
func Parts() []string {
	return []string{PartGroups, PartAccess, PartIndexes, PartQueries, PartMetrics, PartAlarms, PartDashboard, PartAuth0, PartQueue}
}

// An ID tells the resources of a stack apart.
type ID struct {
	Kind Kind
	// Region is empty for what belongs to no Region.
	Region string
	Name   string
}

// String returns the ID as a plan shows it, such as "log group /auth0/dev
// (eu-central-1)".
func (id ID) String() string {
	if id.Region == "" {
		return string(id.Kind) + " " + id.Name
	}
	return string(id.Kind) + " " + id.Name + " (" + id.Region + ")"
}

// An Attribute is one property of a resource, as texts that can be compared and
// shown. Lists and maps are several attributes, one for each member; documents are
// in canonical JSON.
type Attribute struct {
	Path, Value string
	// Fixed says that a change needs another resource in the place of this one.
	Fixed bool
	// Secret says that the value is never shown.
	Secret bool
}

// A Resource is something outside of gapless. The types of resources are in this
// package: who handles them switches over these.
type Resource interface {
	// ID tells it apart.
	ID() ID
	// Part is one of the constants Part….
	Part() string
	// Attributes are all that a plan compares, ordered by path. They are made anew in
	// each call.
	Attributes() []Attribute
}

// A Stack is what a configuration needs, in the order in which it is made: what a
// resource needs comes before it. It is taken away in the reverse order.
type Stack struct {
	Resources []Resource
	// Notes tell what the stack leaves to a person, and why, as sentences.
	Notes []string
}

// Of returns the resources of a type, in order.
func Of[T Resource](s Stack) (out []T) {
	for _, r := range s.Resources {
		if t, ok := r.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

// attributes collects the attributes of a resource.
type attributes []Attribute

// text adds a property that may be changed; an empty one is left out.
func (a *attributes) text(path, value string) {
	if value != "" {
		*a = append(*a, Attribute{Path: path, Value: value})
	}
}

// fixed adds a property that cannot be changed; an empty one is left out.
func (a *attributes) fixed(path, value string) {
	if value != "" {
		*a = append(*a, Attribute{Path: path, Value: value, Fixed: true})
	}
}

// number adds a number that may be changed; 0 is left out.
func (a *attributes) number(path string, value int) {
	if value != 0 {
		a.text(path, strconv.Itoa(value))
	}
}

// flag adds a yes; a no is left out.
func (a *attributes) flag(path string, value bool) {
	if value {
		a.text(path, "true")
	}
}

// list adds a property for each text of an unordered list.
func (a *attributes) list(path string, values []string) {
	for _, v := range slices.Sorted(slices.Values(values)) {
		a.text(path+"["+v+"]", v)
	}
}

// pairs adds a property for each pair of a map, also where its value is empty.
func (a *attributes) pairs(path string, values map[string]string) { //nolint:unparam // all maps are tags so far
	for k, v := range values {
		*a = append(*a, Attribute{Path: path + "." + k, Value: v})
	}
}

// sorted returns them by path.
func (a attributes) sorted() []Attribute {
	slices.SortFunc(a, func(x, y Attribute) int { return cmp.Compare(x.Path, y.Path) })
	return a
}

// ARN makes an ARN with the tokens for partition and account. region is empty for
// global services.
func ARN(service, region, resource string) string {
	return strings.Join([]string{"arn", Partition, service, region, Account, resource}, ":")
}
