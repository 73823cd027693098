package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

func TestParseStartFrom(t *testing.T) {
	t.Parallel()
	date := time.Date(2020, 11, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]config.StartFrom{
		"earliest":                    {Earliest: true},
		"latest":                      {Latest: true},
		"latest\n":                    {Latest: true},
		"2020-11-01T00:00:00Z":        {Time: date},
		"2020-11-01T09:00:00+09:00":   {Time: date},
		"2020-11-01T00:00:00.000001Z": {Time: date.Add(time.Microsecond)},
		"2020-11-01":                  {Time: date},
		"24h":                         {Ago: 24 * time.Hour},
		"7d":                          {Ago: 168 * time.Hour},
		"1d12h":                       {Ago: 36 * time.Hour},
		"1w1d1.5h":                    {Ago: 193*time.Hour + 30*time.Minute},
		"0.5d":                        {Ago: 12 * time.Hour},
		"5µs":                         {Ago: 5 * time.Microsecond},
		"3650d":                       {Ago: 3650 * 24 * time.Hour},
		"90020201101100000000000000000000000000000000000000000000": {LogID: "90020201101100000000000000000000000000000000000000000000"},
		"90020261101000000000000":                                  {LogID: "90020261101000000000000"},
		"evt-000001":                                               {LogID: "evt-000001"},
		"log-1":                                                    {LogID: "log-1"},
		"abc_123":                                                  {LogID: "abc_123"},
		"123":                                                      {LogID: "123"},
	} {
		if got, err := config.ParseStartFrom(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseStartFromRefuses(t *testing.T) {
	t.Parallel()
	const forms = "Use earliest, latest, a time such as"
	for text, want := range map[string]struct{ problem, fix string }{
		"":                     {"is no starting point", forms},
		"yesterday":            {`"yesterday" is no starting point`, forms},
		"earlist":              {"is no starting point", forms},
		"Latest":               {"is no starting point", forms},
		"now":                  {"is no starting point", forms},
		"2 days":               {"is no starting point", forms},
		"a 1":                  {"is no starting point", forms},
		"@start":               {"is no starting point", forms},
		"@since1":              {"is no starting point", forms},
		"10:00":                {"is no starting point", forms},
		"01/11/2026":           {"is no starting point", forms},
		"-5":                   {"is no starting point", forms},
		"+5":                   {"is no starting point", forms},
		"2999-01-01":           {"lies in the future", "Use a time that has passed, or latest."},
		"2999-01-01T00:00:00Z": {"lies in the future", "Use a time that has passed, or latest."},
		"2020-13-01":           {"is no RFC 3339 time", "with Z or an offset"},
		"2020/11/01":           {"is no RFC 3339 time", "with Z or an offset"},
		"2020-11-01T10:00":     {"is no RFC 3339 time", "with Z or an offset"},
		"2020-11-01T10:00:00":  {"is no RFC 3339 time", "with Z or an offset"},
		"2020-11-01 10:00:00":  {"is no RFC 3339 time", "with Z or an offset"},
		"-24h":                 {"has a sign", "Write 24h, which means that long ago."},
		"+7d":                  {"has a sign", "Write 7d"},
		"0s":                   {"is no time at all", "Use latest."},
		"0d":                   {"is no time at all", "Use latest."},
		"3650d1ns":             {"is too long", "use earliest."},
		"3000d3000d":           {"is too long", "use earliest."},
		"100000d":              {"is too long", "use earliest."},
		"100000h":              {"is too long", "use earliest."},
		"99999999999999999h":   {"is too long", "use earliest."},
		"0":                    {"lacks a unit", "Write 0h or 0d."},
		"24":                   {"lacks a unit", "Write 24h or 24d."},
	} {
		got, err := config.ParseStartFrom(text)
		e, ok := errors.AsType[*config.Error](err)
		if !ok {
			t.Errorf("%q: got %+v and error %v, want a *config.Error", text, got, err)
			continue
		}
		if e.Path != "start_from" || !strings.Contains(e.Problem, want.problem) || !strings.Contains(e.Fix, want.fix) {
			t.Errorf("%q: got %s and fix %q, want %q and %q", text, e, e.Fix, want.problem, want.fix)
		}
	}
}

func ExampleParseStartFrom() {
	for _, text := range []string{"7d", "2020-11-01", "yesterday"} {
		start, err := config.ParseStartFrom(text)
		fmt.Println(start.Ago, start.Time.Year(), err)
	}
	// Output:
	// 168h0m0s 1 <nil>
	// 0s 2020 <nil>
	// 0s 1 start_from "yesterday" is no starting point
}
