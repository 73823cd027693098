package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// maxSettings bounds the text of the old extension's settings, in bytes.
const maxSettings = 1 << 20

// ErrSettings says that a text holds no settings of the old extension.
var ErrSettings = errors.New("holds no settings of the extension")

// ParseSettings reads the settings of the old extension: a JSON object of them, or
// one that holds it as "settings" or "secrets", or a list of objects with "key" or
// "name" and "value". Values are texts, numbers, true and false, lists of these
// (for LOG_TYPES) or objects with "value". Its error quotes nothing of the text.
func ParseSettings(text []byte) (map[string]string, error) {
	if len(text) > maxSettings {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrSettings, maxSettings)
	}
	text = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	out := map[string]string{}
	var list []map[string]json.RawMessage
	if json.Unmarshal(text, &list) == nil {
		for _, entry := range list {
			takeEntry(out, entry)
		}
	} else if err := takeObject(out, text, 0); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrSettings)
	}
	return out, nil
}

// ReadSettings reads the settings of the old extension from a file; see
// ParseSettings.
func ReadSettings(path string) (map[string]string, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's own
	if err != nil {
		return nil, fmt.Errorf("open settings: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSettings+1)) // a wrong path, such as a device, does no harm
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return ParseSettings(text)
}

// takeEntry reads {"key": "A", "value": "b"}.
func takeEntry(out map[string]string, entry map[string]json.RawMessage) {
	for _, member := range []string{"key", "name"} {
		if key, ok := plainValue(entry[member]); ok && key != "" {
			out[key], _ = plainValue(entry["value"])
			return
		}
	}
}

// takeObject reads an object of settings, or of such objects.
func takeObject(out map[string]string, text []byte, depth int) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil { // its text may quote a value
		return fmt.Errorf("%w: it is no JSON object of settings and their values", ErrSettings)
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		raw := members[key]
		value, plain := plainValue(raw)
		switch {
		case plain:
			out[key] = value
		case depth == 0 && slices.Contains([]string{"settings", "secrets"}, strings.ToLower(key)):
			if err := takeObject(out, raw, depth+1); err != nil {
				return err
			}
		default:
			out[key] = ""
			var inner map[string]json.RawMessage
			if json.Unmarshal(raw, &inner) == nil {
				out[key], _ = plainValue(inner["value"])
			}
		}
	}
	return nil
}

// plainValue returns a value as the extension's form would have it as text.
func plainValue(raw json.RawMessage) (string, bool) {
	if raw == nil {
		return "", false
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return strings.TrimSpace(v), true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case []any:
		var items []string
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return "", false
			}
			items = append(items, strings.TrimSpace(text))
		}
		return strings.Join(items, ","), true
	default:
		return "", false
	}
}

// SettingsOf returns the settings of the old extension that an environment holds
// under their own names.
func SettingsOf(lookup func(name string) (string, bool)) (map[string]string, error) {
	out := map[string]string{}
	own := false
	for name := range takers() {
		if slices.Contains([]string{"AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "PROVIDER", "SCHEDULE"}, name) {
			continue // of gapless's own application, or anybody's
		}
		if v, ok := lookup(name); ok && v != "" {
			out[name] = strings.TrimSpace(v)
			own = own || !strings.HasPrefix(name, "AWS_")
		}
	}
	if !own {
		return nil, fmt.Errorf("the environment %w: no variable of its names is set, such as AUTH0_DOMAIN", ErrSettings)
	}
	return out, nil
}

// A Change says what became of a setting of the old extension.
type Change struct {
	// Setting is its name.
	Setting string
	// Became says where it went, or "not taken over".
	Became string
	// Why says what is different, in sentences; may be empty. It shows no secret.
	Why string

	// now, where it is set, says it after all questions have been answered.
	now func(Answers) string
}

// Finally returns the change with what was answered to the questions in the place of
// what the extension had.
func (c Change) Finally(a Answers) Change {
	if c.now != nil {
		c.Became = c.now(a)
	}
	return c
}

// dropped is what is said of a setting that goes nowhere.
const dropped = "not taken over"

// A taker takes one setting over. The value is not empty.
type taker func(a *Answers, value string) Change

// takers returns how each known setting is taken over. The names in capitals are
// those of the extension's form, and two that it had besides.
func takers() map[string]taker {
	return map[string]taker{
		"AUTH0_DOMAIN":               takeDomain,
		"AUTH0_CLIENT_ID":            takeClient,
		"AUTH0_CLIENT_SECRET":        takeClient,
		"BATCH_SIZE":                 notTaken("gapless asks Auth0 for all that a call may bring (100 events), and fills batches up to the limits of CloudWatch Logs. There is nothing to set."),
		"SCHEDULE":                   notTaken("gapless reads on all the time, not every 5 minutes. For a schedule of your own start gapless run --once."),
		"START_FROM":                 takeStart,
		"LOG_LEVEL":                  takeLevel,
		"LOG_TYPES":                  takeTypes,
		"SLACK_INCOMING_WEBHOOK_URL": takeSlack,
		"SLACK_SEND_SUCCESS":         takeSlackSuccess,
		"DAILY_REPORT_TIME":          takeReport,
		"CLOUDWATCH_LOG_GROUP_NAME":  takeText("cloudwatch.log_group", "", func(a *Answers) *string { return &a.LogGroup }),
		"CLOUDWATCH_LOG_STREAM_NAME": takeText("cloudwatch.log_stream", "gapless may write into the old stream. Its events keep the time at which the extension sent them.", func(a *Answers) *string { return &a.LogStream }),
		"AWS_ACCESS_KEY_ID":          notTaken("No key is copied. Give gapless a role if it runs on AWS; else set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment, of a new key, as Auth0 has known this one. docs/security.md has the policy."),
		"AWS_SECRET_KEY":             notTaken("As AWS_ACCESS_KEY_ID; its variable is AWS_SECRET_ACCESS_KEY."),
		"AWS_REGION":                 takeRegion,
		"PROVIDER":                   notTaken("gapless writes to CloudWatch Logs."),
	}
}

// TakeOver puts settings of the old extension into answers, and says what became of
// each, in the order of their names. What is known comes first.
func TakeOver(ctx context.Context, settings map[string]string) (Answers, []Change) {
	var a Answers
	var changes, unknown []Change
	known := takers()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		take, ok := known[strings.ToUpper(name)]
		value := settings[name]
		switch {
		case !ok:
			unknown = append(unknown, Change{Setting: name, Became: dropped, Why: "It is no setting of the extension that gapless knows."})
		case value == "":
			changes = append(changes, Change{Setting: name, Became: "nothing", Why: "It is empty."})
		case !printable(value):
			changes = append(changes, Change{Setting: name, Became: dropped, Why: "It holds a character that does not print."})
		default:
			before := a
			c := take(&a, value)
			if p := unasked(ctx, a); p != nil { // no question would find it
				a, c = before, Change{Became: dropped, Why: "As a setting of gapless it " + p.Error()}
			}
			c.Setting = name
			changes = append(changes, c)
		}
	}
	return a, append(changes, unknown...)
}

// unasked returns what is wrong with what no question asks for.
func unasked(ctx context.Context, a Answers) *AnswerError {
	for _, path := range []string{"tenants.0.cloudwatch.log_group", "tenants.0.cloudwatch.log_stream", "tenants.0.filter.types", "tenants.0.filter.types.allow"} {
		if p := problemAt(ctx, a, path); p != nil {
			return p
		}
	}
	return nil
}

// notTaken is for a setting that has no counterpart.
func notTaken(why string) taker {
	return func(*Answers, string) Change { return Change{Became: dropped, Why: why} }
}

// takeText is for a setting that means the same.
func takeText(path, why string, answer func(*Answers) *string) taker {
	return func(a *Answers, value string) Change {
		*answer(a) = value
		now := func(a Answers) string { return path + ": " + shown(*answer(&a)) }
		return Change{Became: now(*a), Why: why, now: now}
	}
}

// takeRegion takes the Region, whose names are in small letters.
func takeRegion(a *Answers, value string) Change {
	return takeText("aws.region", "", func(a *Answers) *string { return &a.Region })(a, strings.ToLower(value))
}

// shown returns a value that is no secret for a message.
func shown(value string) string {
	const most = 80
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "..."
	}
	return config.YAMLText(value)
}

// takeDomain takes the domain.
func takeDomain(a *Answers, value string) Change {
	a.Domain = cleanDomain(value)
	return Change{Became: "domain: " + shown(a.Domain), now: func(a Answers) string {
		if pushed(a) {
			return dropped + ", as nothing is read"
		}
		return "domain: " + shown(a.Domain)
	}}
}

// takeClient leaves the application of the extension alone.
func takeClient(*Answers, string) Change {
	return Change{Became: dropped, Why: "It is of the application that Auth0 made for the extension, which may also delete applications and goes with the extension. Make a machine-to-machine application of gapless's own, with read:logs on the Management API and nothing else."}
}

// takeStart takes the checkpoint.
func takeStart(a *Answers, value string) Change {
	s, err := config.ParseStartFrom(value)
	if err != nil || s.LogID == "" {
		return Change{Became: dropped, Why: "It is no log_id. gapless begins with the oldest event that Auth0 still keeps (start_from: earliest)."}
	}
	a.StartFrom = value
	now := func(a Answers) string {
		if pushed(a) {
			return dropped + ", as nothing is read"
		}
		return "start_from: " + shown(value)
	}
	return Change{Became: now(*a), now: now, Why: "It is where the extension once began, not how far it came. To go on there, put the log_id of its last event in CloudWatch Logs here; to have all that Auth0 still keeps, remove it. gapless tells of the gap if Auth0 no longer has the event."}
}

// levels returns the levels of the extension's form by their labels.
func levels() map[string]string {
	return map[string]string{"critical": "4", "error": "3", "warning": "2", "info": "1", "debug": "0"}
}

// takeLevel takes the level.
func takeLevel(a *Answers, value string) Change {
	if value == "-" {
		return Change{Became: "nothing", Why: "No level is set."}
	}
	level := value
	if l, ok := levels()[strings.ToLower(value)]; ok {
		level = l
	}
	if len(level) != 1 || level < "0" || level > "4" {
		return Change{Became: dropped, Why: "It is no level from 0 to 4. Without one every event goes on, but for what LOG_TYPES leaves out."}
	}
	a.MinLevel = level
	return Change{Became: "filter.min_level: " + level, Why: "With a level the extension lost every event whose code was not in its table of 98, which is 80 of the 165 that Auth0 documents today. They go on here, and so do codes that Auth0 adds."}
}

// takeTypes takes the event codes.
func takeTypes(a *Answers, value string) Change {
	var listed []string
	if json.Unmarshal([]byte(value), &listed) == nil { // a list that was kept as text
		value = strings.Join(listed, ",")
	}
	for code := range strings.SplitSeq(value, ",") {
		if code = strings.TrimSpace(code); code != "" && code != "-" && !slices.Contains(a.Types, code) {
			a.Types = append(a.Types, code)
		}
	}
	if len(a.Types) == 0 {
		return Change{Became: "nothing", Why: "No type is set."}
	}
	return Change{Became: "filter.types: " + shown(strings.Join(a.Types, ", ")), Why: "As in the extension an event goes on that LOG_TYPES or LOG_LEVEL names. What is left out is counted."}
}

// takeSlack has alerts told to Slack, by a reference to the URL.
func takeSlack(a *Answers, _ string) Change {
	a.Slack = true
	return Change{Became: "notify.slack.webhook_url: " + slackReference, Why: "The URL is a secret and is not copied: set it as SLACK_INCOMING_WEBHOOK_URL in the environment of gapless. gapless tells Slack when something is wrong, once, and when it is over; the extension was silent when it hung."}
}

// slackReference is where the URL of the incoming webhook is kept.
const slackReference = "env:SLACK_INCOMING_WEBHOOK_URL"

// takeSlackSuccess keeps whether it is told that all goes well. The URL comes before it,
// by its name.
func takeSlackSuccess(a *Answers, value string) Change {
	if !a.Slack {
		return Change{Became: "nothing", Why: "There is no SLACK_INCOMING_WEBHOOK_URL."}
	}
	a.SlackSuccess = strings.EqualFold(value, "true")
	c := Change{Became: "notify.slack.success: " + strconv.FormatBool(a.SlackSuccess)}
	if a.SlackSuccess {
		c.Why = "Such a message comes every 6 hours, not with each run, as gapless has none; success_every sets it."
	}
	return c
}

// takeReport takes the hour of the daily report.
func takeReport(a *Answers, value string) Change {
	hour, rest, _ := strings.Cut(value, ":")
	h, err := strconv.Atoi(hour)
	if rest == "" {
		rest = "00"
	}
	if m, merr := strconv.Atoi(rest); err != nil || merr != nil || len(rest) != 2 || h < 0 || h > 23 || m < 0 || m > 59 {
		return Change{Became: dropped, Why: "It is no hour of the day. report_at of a channel of notify sets a time."}
	}
	a.ReportAt = fmt.Sprintf("%02d:%s", h, rest)
	now := func(a Answers) string {
		if !a.Slack {
			return dropped + ", as there is no SLACK_INCOMING_WEBHOOK_URL"
		}
		return "notify.slack.report_at: " + a.ReportAt
	}
	return Change{Became: now(*a), now: now, Why: "It is taken for a time in UTC; report_zone sets another zone."}
}

// Differences returns what gapless does differently from the old extension, whatever
// its settings were, as sentences.
func Differences() []string {
	return []string{
		"Events come all the time, within seconds, not every 5 minutes.",
		"The timestamp in CloudWatch Logs is the event's own date; the extension stamped the time of sending.",
		"A batch that fails is kept on disk and sent until it arrives. The extension skipped it for ever.",
		"An event that is too large is trimmed or set aside by itself; it no longer takes its batch along.",
		"Two processes on one data directory are refused, and an event with the same log_id goes once; two runs of the extension wrote everything twice.",
		"A level lets every code through that gapless does not know; only a list of types without a level leaves them out.",
		"Events that the extension has written and that Auth0 still keeps come once more, unless start_from lies behind them.",
		"gapless needs an application of its own in Auth0: machine to machine, with read:logs. If the extension is still installed, remove it once gapless delivers.",
	}
}
