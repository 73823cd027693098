package cloudwatch

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The constraints of the published service model.
const (
	maxName        = 512
	maxIdentifier  = 2048
	maxARN         = 1011
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	maxKMSKey      = 256
	maxPattern     = 1024
	maxStreamNames = 100
	maxDescribe    = 50
	maxEvents      = 10_000
	unlimited      = math.MaxInt // for members to which the model gives no maximum
)

// A shape is a pattern of the service model: its text, which the messages quote,
// and what it compiles to.
type shape struct {
	text string
	re   *regexp.Regexp
}

func newShape(text, expr string) shape {
	return shape{text: text, re: regexp.MustCompile(`^(?:` + expr + `)$`)}
}

var (
	groupName    = newShape(`[\.\-_/#A-Za-z0-9]+`, `[.\-_/#A-Za-z0-9]+`)
	groupPattern = newShape(`[\.\-_/#A-Za-z0-9]*`, `[.\-_/#A-Za-z0-9]*`)
	streamName   = newShape(`[^:*]*`, `(?s:[^:*]*)`)
	identifier   = newShape(`[\w#+=/:,.@-]*`, `[\w#+=/:,.@-]*`)
	resourceARN  = newShape(`[\w+=/:,.@-]*`, `[\w+=/:,.@-]*`)
	accountID    = newShape(`^\d{12}$`, `[0-9]{12}`)
	tagKey       = newShape(`^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$`, `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	tagValue     = newShape(`^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`, `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
)

// The values of the service model's enumerations.
var (
	logClasses = []string{classStandard, classInfrequent, classDelivery, classEssentials}
	orders     = []string{orderByName, orderByTime}
	// retentionDays is what PutRetentionPolicy takes.
	retentionDays = []int64{
		1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731,
		1096, 1827, 2192, 2557, 2922, 3288, 3653,
	}
)

// checks collects the violations of a request, all of which AWS reports at once.
type checks struct {
	found   []string
	tooLong bool
}

// err returns the collected violations as the real service words them.
func (c *checks) err() error {
	switch n := len(c.found); {
	case c.tooLong:
		return errNameTooLong
	case n == 0:
		return nil
	case n == 1:
		return invalidParameter("1 validation error detected: %s", c.found[0])
	default:
		return invalidParameter("%d validation errors detected: %s", n, strings.Join(c.found, "; "))
	}
}

func (c *checks) add(value, at, constraint string) {
	c.found = append(c.found, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, at, constraint))
}

func quoted(s string) string { return "'" + s + "'" }

// required notes a missing member and reports whether it is there.
func (c *checks) required(at string, present bool) bool {
	if !present {
		c.add("null", at, "Member must not be null")
	}
	return present
}

// text checks a string that is there against its length and shape.
func (c *checks) text(at string, s *string, least, most int, sh *shape) {
	if s == nil {
		return
	}
	n := utf8.RuneCountInString(*s)
	if n < least {
		c.add(quoted(*s), at, "Member must have length greater than or equal to "+strconv.Itoa(least))
	}
	if n > most {
		c.add(quoted(*s), at, "Member must have length less than or equal to "+strconv.Itoa(most))
	}
	if sh != nil && !sh.re.MatchString(*s) {
		c.add(quoted(*s), at, "Member must satisfy regular expression pattern: "+sh.text)
	}
}

// group checks logGroupName.
func (c *checks) group(name *string) { c.name("logGroupName", name, &groupName) }

// stream checks logStreamName.
func (c *checks) stream(name *string) { c.name("logStreamName", name, &streamName) }

func (c *checks) name(at string, name *string, sh *shape) {
	if name != nil && utf8.RuneCountInString(*name) > maxName {
		c.tooLong = true
		return
	}
	c.text(at, name, 1, maxName, sh)
}

// number checks an integer that is there; most < 0 means no upper bound.
func (c *checks) number(at string, n *int64, least, most int64) {
	if n == nil {
		return
	}
	value := quoted(strconv.FormatInt(*n, 10))
	if *n < least {
		c.add(value, at, "Member must have value greater than or equal to "+strconv.FormatInt(least, 10))
	}
	if most >= 0 && *n > most {
		c.add(value, at, "Member must have value less than or equal to "+strconv.FormatInt(most, 10))
	}
}

// count checks the number of members of a list or map; what stands for its value
// in the message, because the value may be long or not fit to be quoted.
func (c *checks) count(at, what string, n, least, most int) {
	if n < least {
		c.add(quoted(what), at, "Member must have length greater than or equal to "+strconv.Itoa(least))
	}
	if n > most {
		c.add(quoted(what), at, "Member must have length less than or equal to "+strconv.Itoa(most))
	}
}

func (c *checks) enum(at string, s *string, values []string) {
	if s != nil && !slices.Contains(values, *s) {
		c.add(quoted(*s), at, "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
	}
}

// tags checks a map of tags that is there.
func (c *checks) tags(tags map[string]string) {
	what := renderMap(tags)
	c.count("tags", what, len(tags), 1, maxTags)
	badKey, badValue := false, false
	for k, v := range tags {
		badKey = badKey || !fits(k, 1, maxTagKey, tagKey)
		badValue = badValue || !fits(v, 0, maxTagValue, tagValue)
	}
	if badKey {
		c.add(quoted(what), "tags", "Map keys must satisfy constraint: ["+constraints(1, maxTagKey, tagKey)+"]")
	}
	if badValue {
		c.add(quoted(what), "tags", "Map value must satisfy constraint: ["+constraints(0, maxTagValue, tagValue)+"]")
	}
}

// tagKeys checks a list of tag keys.
func (c *checks) tagKeys(at string, keys []string, least int) {
	what := "[" + strings.Join(keys, ", ") + "]"
	c.count(at, what, len(keys), least, maxTags)
	if slices.ContainsFunc(keys, func(k string) bool { return !fits(k, 1, maxTagKey, tagKey) }) {
		c.add(quoted(what), at, "Member must satisfy constraint: ["+constraints(1, maxTagKey, tagKey)+"]")
	}
}

func fits(s string, least, most int, sh shape) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most && sh.re.MatchString(s)
}

func constraints(least, most int, sh shape) string {
	return fmt.Sprintf("Member must have length less than or equal to %d, "+
		"Member must have length greater than or equal to %d, "+
		"Member must satisfy regular expression pattern: %s", most, least, sh.text)
}

// renderMap writes a map the way the real service quotes one.
func renderMap(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for k, v := range m {
		parts = append(parts, k+"="+v)
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}
