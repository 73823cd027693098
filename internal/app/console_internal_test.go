package app

import (
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestConsoleURL pins the addresses of the CloudWatch console: behind # names are
// escaped twice, with $ for %.
func TestConsoleURL(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_000)
	to := pipeline.Destination{LogGroup: "/auth0/dev tenant", LogStream: "a/[$LATEST]é"}
	const place = "#logsV2:log-groups/log-group/$252Fauth0$252Fdev$2520tenant/log-events/a$252F$255B$2524LATEST$255D$25C3$25A9" +
		"$3Fstart$3D1699999940000$26end$3D1700000060000$26filterPattern$3D$252290020$2522"
	for _, c := range []struct {
		name  string
		place journal.Place
		at    time.Time
		want  string
	}{
		{"aws", journal.Place{Destination: to, Region: "eu-central-1"}, at, "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1" + place},
		{"China", journal.Place{Destination: to, Region: "cn-north-1"}, at, "https://console.amazonaws.cn/cloudwatch/home?region=cn-north-1" + place},
		{"GovCloud", journal.Place{Destination: to, Region: "us-gov-west-1"}, at, "https://console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-west-1" + place},
		{"an emulator", journal.Place{Destination: to, Region: "eu-central-1", Emulated: true}, at, ""},
		{"no Region", journal.Place{Destination: to}, at, ""},
		{"not delivered", journal.Place{Destination: to, Region: "eu-central-1"}, time.Time{}, ""},
		{"a partition without a known console", journal.Place{Destination: to, Region: "us-iso-east-1"}, at, ""},
	} {
		if got := consoleURL(c.place, c.at, "90020"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
