package cloudwatch_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// doubtful delivers a batch whose first call has an unknown outcome, and returns
// it with the doubt that the delivery loop gives it.
func doubtful(t *testing.T, s *cloudwatch.Sink, b pipeline.Batch) pipeline.Batch {
	t.Helper()
	began := time.Now()
	if _, err := s.Deliver(t.Context(), b); !pipeline.Classify(err).OutcomeUnknown {
		t.Fatalf("error %v, want one of an unknown outcome", err)
	}
	b.Doubt = pipeline.Doubt{From: began, Until: time.Now()}
	return b
}

// spread makes a batch of events some time apart.
func spread(n int, step time.Duration) pipeline.Batch {
	var events []event.Event
	for i := range n {
		events = append(events, ev(fmt.Sprintf("event-%d", i), time.Now().Add(time.Duration(i-n)*step)))
	}
	return batch(events...)
}

// wantOnce checks that every event of a batch arrived once, and what the metrics
// say of those in doubt.
func wantOnce(t *testing.T, c *cloud, b pipeline.Batch, reg *prometheus.Registry, found, missing, unchecked int) {
	t.Helper()
	count := make(map[string]int)
	for _, x := range c.stored() {
		count[x.Message]++
	}
	for _, e := range b.Events {
		if n := count[string(e.Raw)]; n != 1 {
			t.Errorf("event %s arrived %d times", e.LogID, n)
		}
	}
	for outcome, want := range map[string]int{"found": found, "missing": missing, "unchecked": unchecked} {
		if got := value(t, reg, "gapless_cloudwatch_in_doubt_events_total", "outcome="+outcome); int(got) != want {
			t.Errorf("%v events %s, want %d", got, outcome, want)
		}
	}
}

// TestLostAnswers has a call done whose answer is lost: it is not repeated,
// however far apart its events lie and however late they can be read.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	lost := map[string]answer{
		"cut off":         {lost: true},
		"bad gateway":     {lost: true, status: 502, raw: "bad gateway"},
		"gateway timeout": {lost: true, status: 504, raw: "timeout"},
		"internal":        {lost: true, status: 500, code: "InternalFailure"},
	}
	for name, a := range lost {
		for _, lag := range []time.Duration{0, 14 * time.Second} {
			for _, step := range []time.Duration{0, time.Second, 25 * time.Minute} {
				t.Run(fmt.Sprint(name, " ", lag, " ", step), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						c := ready()
						c.lag, c.page = lag, 7
						s, reg := open(t, c, config())
						var others []event.Event
						for i := range 20 {
							others = append(others, ev(fmt.Sprint("other-", i), time.Now()))
						}
						deliver(t, s, batch(others...))
						c.with("PutLogEvents", 1, a)
						b := doubtful(t, s, spread(50, step))
						deliver(t, s, b)
						wantOnce(t, c, b, reg, 50, 0, 0)
						same(t, "calls", 2, len(c.seen("PutLogEvents")))
					})
				})
			}
		}
	}
}

// TestCallsThatWereNotDone are repeated, once it is sure enough that nothing has
// arrived.
func TestCallsThatWereNotDone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		wait, want time.Duration
	}{"default": {15 * time.Second, 15 * time.Second}, "a single look": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := ready().with("PutLogEvents", 1, answer{cut: true})
				s, reg := open(t, c, config(func(c *cloudwatch.Config) { c.InDoubtWait = tt.wait }))
				b := doubtful(t, s, some())
				began := time.Now()
				deliver(t, s, b)
				if took := time.Since(began); took != tt.want {
					t.Errorf("sent again after %s, want %s", took, tt.want)
				}
				wantOnce(t, c, b, reg, 0, 50, 0)
			})
		})
	}
}

// TestOnlyWhatIsMissingIsSent has half of a batch there.
func TestOnlyWhatIsMissingIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready()
		s, reg := open(t, c, config())
		b := some()
		deliver(t, s, batch(b.Events[10:35]...))
		b.Doubt = pipeline.Doubt{From: time.Now(), Until: time.Now()}
		deliver(t, s, b)
		wantOnce(t, c, b, reg, 25, 25, 0)
		same(t, "events of the second call", 25, c.seen("PutLogEvents")[1].events)
	})
}

// TestRestampedEventsAreFound has events that went with another timestamp than
// their date, looked for hours later, when the window has moved; once with what
// was learned of the group forgotten, as by a restart.
func TestRestampedEventsAreFound(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, ages := range map[string][]time.Duration{
		"too old": {40 * day, 20 * day}, "about to be too old": {14*day - 30*time.Minute},
		"too new": {time.Minute, -3 * time.Hour, -30 * time.Hour},
	} {
		for _, retention := range []int{0, 1} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", retention, " ", restart), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						c := ready()
						c.group(dest.LogGroup).retentionDays = retention
						s, reg := open(t, c, config())
						var events []event.Event
						for i, age := range ages {
							events = append(events, ev(fmt.Sprint("event-", i), time.Now().Add(-age)))
						}
						b := batch(events...)
						if err := s.Check(t.Context(), dest); err != nil { // learns the retention
							t.Fatal(err)
						}
						c.with("PutLogEvents", 1, answer{lost: true})
						b = doubtful(t, s, b)
						<-time.After(3 * time.Hour)
						if restart {
							s, reg = open(t, c, config())
						}
						deliver(t, s, b)
						wantOnce(t, c, b, reg, len(ages), 0, 0)
					})
				})
			}
		}
	}
}

// TestArrivedBeforeItWasTooOld has an event become too old between the call whose
// answer was lost and the next try: it is no dead letter, for it is there.
func TestArrivedBeforeItWasTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready().with("PutLogEvents", 1, answer{lost: true})
		s, reg := open(t, c, config(func(c *cloudwatch.Config) { c.TooOld = "dead_letter" }))
		b := doubtful(t, s, batch(ev("event", time.Now().Add(-14*24*time.Hour+time.Hour))))
		<-time.After(3 * time.Hour)
		if receipt := deliver(t, s, b); len(receipt.Rejected) > 0 {
			t.Errorf("rejected: %+v", receipt.Rejected)
		}
		wantOnce(t, c, b, reg, 1, 0, 0)
	})
}

// TestDestinationsThatCannotBeRead are written to all the same, and it is said
// once what that means.
func TestDestinationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]answer{
		"no permission": {status: 400, code: "AccessDeniedException", message: "not authorized to perform: logs:GetLogEvents"},
		"class":         {status: 400, code: "InvalidParameterException", message: "not supported for this log group class"},
		"unknown call":  {status: 400, code: "UnknownOperationException"},
		"no such page":  {status: 404, raw: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := ready().with("GetLogEvents", -1, a)
				var out bytes.Buffer
				reg := prometheus.NewPedanticRegistry()
				s, err := cloudwatch.New(t.Context(), config(), cloudwatch.Deps{
					Logger: slog.New(slog.NewTextHandler(&out, nil)), Registerer: reg, Tenant: "example",
					HTTPClient: &http.Client{Transport: emulator.Transport(c)}, Credentials: keys,
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Check(t.Context(), dest); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				for range 2 {
					c.with("PutLogEvents", 1, answer{cut: true})
					deliver(t, s, doubtful(t, s, some()))
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("it took %s", took)
				}
				if n := strings.Count(out.String(), "cannot be looked up"); n != 1 {
					t.Errorf("said %d times:\n%s", n, &out)
				}
				same(t, "unchecked", 100.0, value(t, reg, "gapless_cloudwatch_in_doubt_events_total", "outcome=unchecked"))
			})
		})
	}
}

// TestReadsThatFailForATime hold the batch back, but not for ever.
func TestReadsThatFailForATime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault answer
		class pipeline.Class
		ends  bool // the batch goes without a look after ten minutes
	}{
		"outage":    {answer{status: 500, code: "InternalFailure"}, pipeline.Transient, true},
		"throttled": {answer{status: 400, code: "ThrottlingException"}, pipeline.Throttled, true},
		"old token": {answer{status: 400, code: "ExpiredTokenException"}, pipeline.Unauthorized, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := ready().with("PutLogEvents", 1, answer{lost: true})
				s, reg := open(t, c, config())
				b := doubtful(t, s, some())
				c.with("GetLogEvents", 2, tt.fault)
				for range 2 {
					if _, err := s.Deliver(t.Context(), b); pipeline.Classify(err).Class != tt.class {
						t.Errorf("error %v, want class %s", err, tt.class)
					}
				}
				deliver(t, s, b)
				wantOnce(t, c, b, reg, 50, 0, 0)
				c.with("GetLogEvents", -1, tt.fault)
				c.with("PutLogEvents", 1, answer{cut: true})
				b = doubtful(t, s, spread(3, time.Second))
				<-time.After(11 * time.Minute)
				deliver(t, s, b)
				wantOnce(t, c, b, reg, 50, 0, 3)
			})
		})
	}
}

// TestOutageEndsWhileLookingUp loses an answer in front of an outage that is over
// at the moment in which the look-up is given up: nothing goes twice.
func TestOutageEndsWhileLookingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready().with("PutLogEvents", 1, answer{lost: true})
		s, reg := open(t, c, config())
		b := doubtful(t, s, some())
		for _, op := range []string{"GetLogEvents", "PutLogEvents"} {
			c.with(op, 2, answer{hang: true})
		}
		<-time.After(11 * time.Minute)
		for range 2 { // neither can be read nor written to
			if _, err := s.Deliver(t.Context(), b); err == nil {
				t.Error("the batch went through an outage")
			}
		}
		c.with("GetLogEvents", 1, answer{hang: true}) // the last call that hangs
		deliver(t, s, b)
		wantOnce(t, c, b, reg, 50, 0, 0)
	})
}

// TestDeletedDestinationHoldsNothing is made anew, without a wait.
func TestDeletedDestinationHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready().with("PutLogEvents", 1, answer{lost: true})
		s, reg := open(t, c, config())
		b := doubtful(t, s, some())
		c.drop(dest.LogGroup)
		began := time.Now()
		deliver(t, s, b)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		wantOnce(t, c, b, reg, 0, 50, 0)
	})
}

// TestPartOfABatchInDoubt has the first part of a batch stored and the answer to
// the second lost.
func TestPartOfABatchInDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready()
		s, reg := open(t, c, config())
		b := spread(4, 13*time.Hour) // parts of two
		c.with("PutLogEvents", 1, answer{raw: `{}`, status: 200, lost: true})
		c.with("PutLogEvents", 1, answer{lost: true})
		receipt, err := s.Deliver(t.Context(), b)
		if err != nil || receipt.Doubt.IsZero() {
			t.Fatalf("receipt %+v, error %v; want a doubt", receipt, err)
		}
		same(t, "to be tried again", []int{2, 3}, receipt.Retry)
		again := batch(b.Events[2:]...)
		again.Doubt = receipt.Doubt
		deliver(t, s, again)
		wantOnce(t, c, b, reg, 2, 0, 0)
	})
}

// TestStopEndsTheLooking returns with the context.
func TestStopEndsTheLooking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := ready().with("PutLogEvents", 1, answer{cut: true})
		s, _ := open(t, c, config())
		b := doubtful(t, s, some())
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := s.Deliver(ctx, b); err == nil || time.Since(began) != 3*time.Second {
			t.Errorf("error %v after %s", err, time.Since(began))
		}
	})
}

// TestOutcomeUnknown pins which failures leave the outcome open.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer answer
		want   bool
	}{
		"cut":         {answer{cut: true}, true},
		"hang":        {answer{hang: true}, true},
		"garbage":     {answer{raw: "\x00"}, true},
		"internal":    {answer{status: 500, code: "InternalFailure"}, true},
		"gateway":     {answer{status: 502, raw: "bad gateway"}, true},
		"unavailable": {answer{status: 503, code: "ServiceUnavailableException"}, false},
		"throttled":   {answer{status: 400, code: "ThrottlingException"}, false},
		"refused":     {answer{status: 400, code: "AccessDeniedException"}, false},
		"busy":        {answer{status: 429, raw: "slow down"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := ready()
				s, _ := open(t, c, config())
				deliver(t, s, some())
				c.with("PutLogEvents", 1, tt.answer)
				_, err := s.Deliver(t.Context(), spread(5, 0))
				if got := pipeline.Classify(err).OutcomeUnknown; err == nil || got != tt.want {
					t.Errorf("error %v, unknown %v, want %v", err, got, tt.want)
				}
			})
		})
	}
}

// TestEndlessStream has the endpoint lead on for ever: the look ends with an
// error, not never.
func TestEndlessStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := ready().with("PutLogEvents", 1, answer{cut: true})
		s, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetLogEvents") {
				n++
				write(w, answer{raw: fmt.Sprintf(`{"events":[],"nextForwardToken":"f/%d","nextBackwardToken":"b/0"}`, n)})
				return
			}
			c.ServeHTTP(w, r)
		}), config())
		b := doubtful(t, s, some())
		if _, err := s.Deliver(t.Context(), b); err == nil || !strings.Contains(err.Error(), "has no end") {
			t.Errorf("error %v", err)
		}
	})
}
