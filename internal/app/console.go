package app

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/journal"
)

// consoleMargin is how far around an event the console shows the stream.
const consoleMargin = time.Minute

// consoleURL returns the address at which the CloudWatch console shows an event in its
// log stream, around its timestamp and filtered by its log_id; empty where there is no
// console: for an emulator, an unknown Region or partition, or before it is delivered.
func consoleURL(p journal.Place, at time.Time, logID string) string {
	host := consoleHost(p.Region)
	if p.Emulated || host == "" || at.IsZero() {
		return ""
	}
	query := fmt.Sprintf("?start=%d&end=%d&filterPattern=%s", at.Add(-consoleMargin).UnixMilli(), at.Add(consoleMargin).UnixMilli(), escapeOnce(`"`+logID+`"`))
	return "https://" + host + "/cloudwatch/home?region=" + url.QueryEscape(p.Region) + "#logsV2:log-groups/log-group/" +
		consoleName(p.LogGroup) + "/log-events/" + consoleName(p.LogStream) + dollars(escapeOnce(query))
}

// consoleHost returns the console's host of a Region.
func consoleHost(region string) string {
	switch {
	case region == "", strings.HasPrefix(region, "us-iso"), strings.HasPrefix(region, "eu-iso"), strings.HasPrefix(region, "eusc-"):
		return "" // their consoles are not known here
	case strings.HasPrefix(region, "cn-"):
		return "console.amazonaws.cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "console.amazonaws-us-gov.com"
	default:
		return region + ".console.aws.amazon.com"
	}
}

// consoleName writes the name of a group or stream: the part of the address behind # is
// escaped twice, with $ in the place of the outer %.
func consoleName(name string) string { return dollars(escapeOnce(escapeOnce(name))) }

// escapeOnce escapes all but letters, digits, '-', '_', '.' and '~'.
func escapeOnce(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// dollars writes $ for %.
func dollars(s string) string { return strings.ReplaceAll(s, "%", "$") }
