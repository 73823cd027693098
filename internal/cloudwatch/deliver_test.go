package cloudwatch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// deadLetters turns every policy to dead letters.
func deadLetters(c *cloudwatch.Config) {
	c.TooOld, c.TooNew, c.TooLarge = "dead_letter", "dead_letter", "dead_letter"
}

// reasons lists the rejections of a receipt as "index reason".
func reasons(list []pipeline.Rejection) []string {
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprintf("%d %s", x.Index, x.Reason))
	}
	slices.Sort(out)
	return out
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func deliver(t *testing.T, s *cloudwatch.Sink, b pipeline.Batch) pipeline.Receipt {
	t.Helper()
	return deliverBy(t, s, b)
}

func TestRejectedRangesAreReadExactly(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, info string
		want       []string
	}{
		{"absent", ``, nil},
		{"empty", `{}`, nil},
		{"old end is exclusive", `{"tooOldLogEventEndIndex":2}`, []string{"0 too_old", "1 too_old"}},
		{"old end 0 is none", `{"tooOldLogEventEndIndex":0}`, nil},
		{"expired end is exclusive", `{"expiredLogEventEndIndex":1}`, []string{"0 expired"}},
		{"new start is inclusive", `{"tooNewLogEventStartIndex":3}`, []string{"3 too_new"}},
		{"new start 0 is all", `{"tooNewLogEventStartIndex":0}`, []string{"0 too_new", "1 too_new", "2 too_new", "3 too_new"}},
		{"new start behind the end is none", `{"tooNewLogEventStartIndex":4}`, nil},
		{"union of all", `{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2,"tooNewLogEventStartIndex":3}`, []string{"0 too_old", "1 expired", "3 too_new"}},
		{"too old beats expired", `{"tooOldLogEventEndIndex":2,"expiredLogEventEndIndex":1}`, []string{"0 too_old", "1 too_old"}},
		{"outside the batch", `{"tooOldLogEventEndIndex":-3,"tooNewLogEventStartIndex":99}`, nil},
		{"all old", `{"tooOldLogEventEndIndex":4}`, []string{"0 too_old", "1 too_old", "2 too_old", "3 too_old"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := `{}`
			if c.info != "" {
				body = `{"rejectedLogEventsInfo":` + c.info + `}`
			}
			s, reg := open(t, newCloud().with("PutLogEvents", 1, answer{raw: body}), config(deadLetters))
			now := time.Now()
			r := deliver(t, s, batch(ev("a", now), ev("b", now), ev("c", now), ev("d", now)))
			same(t, "rejections", c.want, reasons(r.Rejected))
			same(t, "to be tried again", 0, len(r.Retry))
			same(t, "delivered", 4-float64(len(c.want)), value(t, reg, "gapless_cloudwatch_delivered_events_total"))
			same(t, "rejected", float64(len(c.want)), value(t, reg, "gapless_cloudwatch_rejected_events_total", "tenant=example"))
		})
	}
}

// deliverAll delivers as the loop does and returns the calls it took and the
// reasons of the rejections.
func deliverAll(t *testing.T, s *cloudwatch.Sink, b pipeline.Batch) (rounds int, rejected []string) {
	t.Helper()
	for rounds = 1; rounds < 20; rounds++ {
		r := deliver(t, s, b)
		for _, x := range r.Rejected {
			rejected = append(rejected, b.Events[x.Index].LogID+" "+x.Reason)
		}
		if len(r.Retry) == 0 {
			return rounds, rejected
		}
		var again []event.Event
		for _, i := range r.Retry {
			again = append(again, b.Events[i])
		}
		b = batch(again...)
	}
	t.Fatal("no end of trying again")
	return 0, nil
}

func TestRestampLearnsShortRetentions(t *testing.T) {
	t.Parallel()
	for _, days := range []int{1, 3, 5, 7, 14, 30} {
		t.Run(fmt.Sprintf("%d days", days), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.add(dest.LogGroup, dest.LogStream).retentionDays = days
				s, reg := open(t, c, config())
				now := time.Now()
				b := batch(ev("older", now.Add(-90*24*time.Hour)), ev("old", now.Add(-30*time.Hour)), ev("now", now))
				rounds, rejected := deliverAll(t, s, b)
				same(t, "rejected", 0, len(rejected))
				if rounds > 6 {
					t.Errorf("it took %d deliveries to learn a retention of %d days", rounds, days)
				}
				same(t, "stored", 3, len(c.stored()))
				if restamped := value(t, reg, "gapless_cloudwatch_restamped_events_total", "reason=too_old"); restamped < 1 {
					t.Errorf("restamped events: %v", restamped)
				}
				before := len(c.seen("PutLogEvents"))
				deliver(t, s, batch(ev("another", now.Add(-90*24*time.Hour))))
				same(t, "calls once it is learned", before+1, len(c.seen("PutLogEvents")))
				if oldest := s.Limits().Oldest; oldest.Before(now.Add(-time.Duration(min(days, 14)) * 24 * time.Hour)) {
					t.Errorf("Limits().Oldest is %v: older than what the group keeps", now.Sub(oldest))
				}
				if err := pipeline.Wait(t.Context(), 2*time.Hour); err != nil { // what was learned is asked again now and then
					t.Fatal(err)
				}
				if got := s.Limits().Oldest; !got.Before(time.Now().Add(-13 * 24 * time.Hour)) {
					t.Errorf("the window is still narrow after two hours: %v", time.Since(got))
				}
			})
		})
	}
}

func TestRestampEndsInDeadLetters(t *testing.T) {
	t.Parallel()
	for _, info := range []string{"tooOldLogEventEndIndex\":1", "expiredLogEventEndIndex\":1", "tooNewLogEventStartIndex\":0"} {
		s, _ := open(t, newCloud().with("PutLogEvents", -1, answer{raw: `{"rejectedLogEventsInfo":{"` + info + `}}`}), config())
		rounds, rejected := deliverAll(t, s, batch(ev("a", time.Now().Add(-10*24*time.Hour))))
		if len(rejected) != 1 || rounds > 7 {
			t.Errorf("%s: rejected %v after %d deliveries", info, rejected, rounds)
		}
	}
}

func TestRestampMovesIntoTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.add(dest.LogGroup, dest.LogStream)
		s, reg := open(t, c, config())
		now := time.Now()
		rounds, rejected := deliverAll(t, s, batch(ev("old", now.Add(-15*24*time.Hour)), ev("new", now.Add(3*time.Hour))))
		same(t, "deliveries", 1, rounds)
		same(t, "rejected", 0, len(rejected))
		stored := c.stored()
		same(t, "timestamps", []time.Time{now.Add(-14*24*time.Hour + 10*time.Minute).UTC(), now.Add(2*time.Hour - 5*time.Minute).UTC()}, []time.Time{stored[0].Time, stored[1].Time})
		same(t, "moved into the past", 1.0, value(t, reg, "gapless_cloudwatch_restamped_events_total", "reason=too_new"))
		same(t, "calls: more than a day apart", 2, len(c.seen("PutLogEvents")))
	})
}

func TestDeadLetterPolicies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.add(dest.LogGroup, dest.LogStream)
		s, _ := open(t, c, config(deadLetters))
		now, day := time.Now(), 24*time.Hour
		large := ev("large", now)
		large.Raw = []byte(`{"details":"` + strings.Repeat("x", 1_048_550) + `"}`)
		empty := ev("empty", now)
		empty.Raw = nil
		r := deliver(t, s, batch(ev("ancient", now.Add(-100*day)), ev("edge", now.Add(-14*day-time.Minute)), ev("in", now.Add(-14*day+time.Minute)),
			ev("now", now), large, empty, ev("ahead", now.Add(2*time.Hour-time.Second)), ev("far", now.Add(3*time.Hour))))
		same(t, "rejections", []string{"0 too_old", "1 too_old", "4 too_large", "5 empty", "7 too_new"}, reasons(r.Rejected))
		same(t, "stored", 3, len(c.stored()))
	})
}

func TestWindowFollowsCloudWatchsClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.add(dest.LogGroup, dest.LogStream)
		c.date = true
		c.clock = func() time.Time { return time.Now().Add(72 * time.Hour) } // the clock here is three days late
		s, reg := open(t, c, config())
		if err := s.Check(t.Context(), dest); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, batch(ev("today", c.clock())))
		same(t, "restamped", 0.0, value(t, reg, "gapless_cloudwatch_restamped_events_total"))
		same(t, "timestamp", c.clock().UTC(), c.stored()[0].Time)
	})
}

func TestPoisonHarmsNoNeighbours(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]int{{0}, {57}, {99}, {0, 1}, {3, 50, 98}} {
		c := newCloud()
		c.add(dest.LogGroup, dest.LogStream)
		c.poison = "poison"
		s, _ := open(t, c, config())
		var events []event.Event
		for i := range 100 {
			id := fmt.Sprintf("e%d", i)
			if slices.Contains(bad, i) {
				id = "poison-secret"
			}
			events = append(events, ev(id, time.Now()))
		}
		r := deliver(t, s, batch(events...))
		var got []int
		for _, x := range r.Rejected {
			got = append(got, x.Index)
			if x.Reason != "invalid" || strings.Contains(x.Detail, "secret") {
				t.Errorf("rejection %+v: it must be invalid and not quote the event", x)
			}
		}
		slices.Sort(got)
		same(t, "rejected", bad, got)
		same(t, "stored", 100-len(bad), len(c.stored()))
		if n := len(c.seen("PutLogEvents")); n > 2+16*len(bad)+8 {
			t.Errorf("%d calls to isolate %d events", n, len(bad))
		}
	}
}

func TestLonePoisonIsProvedByAProbe(t *testing.T) {
	t.Parallel()
	c := newCloud()
	c.add(dest.LogGroup, dest.LogStream)
	c.poison = "poison"
	s, _ := open(t, c, config())
	r := deliver(t, s, batch(ev("poison", time.Now())))
	same(t, "rejections", []string{"0 invalid"}, reasons(r.Rejected))
	same(t, "stored: the probe leaves nothing", 0, len(c.stored()))
}

// CloudWatch may judge the events before it looks for their stream: a poisonous
// event that comes first to a new destination must not wait for a harmless one.
func TestLonePoisonComesFirst(t *testing.T) {
	t.Parallel()
	for _, groups := range [][]string{nil, {dest.LogGroup}} {
		c := newCloud().with("PutLogEvents", 1, refusal("InvalidParameterException", "Log event message is invalid"))
		for _, g := range groups {
			c.add(g)
		}
		s, _ := open(t, c, config())
		r := deliver(t, s, batch(ev("poison", time.Now())))
		same(t, "rejections", []string{"0 invalid"}, reasons(r.Rejected))
		same(t, "stored", 0, len(c.stored()))
	}
}

func TestARefusalThatAllShareIsTheConfiguration(t *testing.T) {
	t.Parallel()
	refuse := refusal("InvalidParameterException", "The key of the log group is disabled.")
	c := newCloud().with("PutLogEvents", -1, refuse)
	s, _ := open(t, c, config())
	var events []event.Event
	for i := range 1000 {
		events = append(events, ev(strconv.Itoa(i), time.Now()))
	}
	_, err := s.Deliver(t.Context(), batch(events...))
	if got := pipeline.Classify(err); got.Class != pipeline.Misconfigured || got.Hint == "" {
		t.Errorf("class %v, hint %q, error %v", got.Class, got.Hint, err)
	}
	if n := len(c.seen("PutLogEvents")); n > 30 {
		t.Errorf("%d calls for a refusal that all share", n)
	}
}

func TestBadNamesAreNotSent(t *testing.T) {
	t.Parallel()
	c := newCloud()
	s, _ := open(t, c, config())
	for _, d := range []pipeline.Destination{{LogGroup: "", LogStream: "a"}, {LogGroup: "a b", LogStream: "a"}, {LogGroup: "aws/x", LogStream: "a"}, {LogGroup: "a", LogStream: "a:b"}, {LogGroup: "a", LogStream: ""}, {LogGroup: "a", LogStream: strings.Repeat("s", 513)}} {
		b := batch(ev("a", time.Now()))
		b.Destination = d
		_, err := s.Deliver(t.Context(), b)
		if pipeline.Classify(err).Class != pipeline.Misconfigured {
			t.Errorf("%+v: %v", d, err)
		}
	}
	same(t, "calls", 0, len(c.seen("PutLogEvents")))
}

func TestErrorsHaveTheirClass(t *testing.T) {
	t.Parallel()
	aws := func(status int, code string) answer { return answer{status: status, code: code, message: "m"} }
	cases := []struct {
		name  string
		a     answer
		class pipeline.Class
		hint  string
	}{
		{"throttling", aws(400, "ThrottlingException"), pipeline.Throttled, ""},
		{"429", answer{status: 429, raw: "slow down"}, pipeline.Throttled, ""},
		{"500", answer{status: 500, raw: "<html>"}, pipeline.Transient, ""},
		{"503", aws(503, "ServiceUnavailableException"), pipeline.Transient, ""},
		{"unknown code", aws(400, "SomethingNewException"), pipeline.Transient, ""},
		{"garbage", answer{raw: "\x00garbage"}, pipeline.Transient, ""},
		{"cut", answer{cut: true}, pipeline.Transient, ""},
		{"hang", answer{hang: true}, pipeline.Transient, ""},
		{"denied", aws(400, "AccessDeniedException"), pipeline.Unauthorized, "logs:PutLogEvents on arn:aws:logs:eu-central-1:*:log-group:/auth0/example:log-stream:logs"},
		{"bad key", aws(400, "UnrecognizedClientException"), pipeline.Unauthorized, "AWS_ACCESS_KEY_ID"},
		{"expired", aws(400, "ExpiredTokenException"), pipeline.Unauthorized, "aws sso login"},
		{"signature", aws(403, "InvalidSignatureException"), pipeline.Unauthorized, "AWS_SECRET_ACCESS_KEY"},
		{"proxy", answer{status: 403, raw: "forbidden"}, pipeline.Unauthorized, ""},
		{"quota", aws(400, "LimitExceededException"), pipeline.Unauthorized, "Service Quotas"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cloud := newCloud().with("PutLogEvents", -1, c.a)
				s, _ := open(t, cloud, config())
				secret := ev("body-of-the-event", time.Now())
				_, err := s.Deliver(t.Context(), batch(secret))
				typed, ok := errors.AsType[*pipeline.Error](err)
				if !ok {
					t.Fatalf("error is %T: %v", err, err)
				}
				if typed.Class != c.class || !strings.Contains(typed.Hint, c.hint) {
					t.Errorf("class %v, hint %q, error %v", typed.Class, typed.Hint, err)
				}
				if text := err.Error() + typed.Hint; strings.Contains(text, "body-of-the-event") || strings.Contains(text, "secret\n") || !strings.Contains(text, dest.LogGroup) {
					t.Errorf("text: %s", text)
				}
				_, again := s.Deliver(t.Context(), batch(secret))
				same(t, "text of the same fault", err.Error(), again.Error())
			})
		})
	}
}

func TestRetryAfterIsHandedOn(t *testing.T) {
	t.Parallel()
	a := refusal("ThrottlingException", "Rate exceeded")
	a.header = map[string]string{"Retry-After": "7"}
	c := newCloud().with("PutLogEvents", -1, a)
	s, _ := open(t, c, config())
	_, err := s.Deliver(t.Context(), batch(ev("a", time.Now())))
	same(t, "wait", 7*time.Second, pipeline.Classify(err).RetryAfter)
	same(t, "calls: none of its own again", 1, len(c.seen("PutLogEvents")))
}

func TestLostAnswersAreNotSentAgain(t *testing.T) {
	t.Parallel()
	c := newCloud().with("PutLogEvents", 1, answer{lost: true})
	c.add(dest.LogGroup, dest.LogStream)
	s, _ := open(t, c, config())
	_, err := s.Deliver(t.Context(), batch(ev("a", time.Now())))
	same(t, "class", pipeline.Transient, pipeline.Classify(err).Class)
	if err == nil {
		t.Error("a lost answer must be an error")
	}
	same(t, "stored", 1, len(c.stored()))
	same(t, "calls", 1, len(c.seen("PutLogEvents")))
}

// TestAlreadyAcceptedIsLookedUp has CloudWatch say that a batch was accepted before,
// or answer success with nothing in it: that is believed where the events are found,
// or cannot be looked up.
func TestAlreadyAcceptedIsLookedUp(t *testing.T) {
	t.Parallel()
	before := refusal("DataAlreadyAcceptedException", "The given batch of log events has already been accepted.")
	before.status = http.StatusBadRequest
	for name, tt := range map[string]struct {
		lost     bool // it was, and is there
		readable bool
		stored   int
		calls    int
	}{
		"there":              {true, true, 1, 1},
		"not there":          {false, true, 1, 2},
		"cannot be read":     {true, false, 1, 2},
		"nobody knows of it": {false, false, 0, 2},
	} {
		for word, said := range map[string]answer{"accepted before": before, "bare": {status: http.StatusOK, empty: true}} {
			t.Run(name+", "+word, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, first := ready(), said
					first.lost = tt.lost
					c.with("PutLogEvents", 1, first)
					if !tt.readable {
						c.with("PutLogEvents", 1, said).with("GetLogEvents", -1, refusal("AccessDeniedException", "no"))
					}
					s, _ := open(t, c, config())
					b := doubtful(t, s, batch(ev("a", time.Now())))
					same(t, "receipt", pipeline.Receipt{}, deliver(t, s, b))
					same(t, "stored", tt.stored, len(c.stored()))
					same(t, "calls", tt.calls, len(c.seen("PutLogEvents")))
				})
			})
		}
	}
}

// TestContradictionsAreLookedUp has answers about four events that cannot be true:
// nothing that they say is believed.
func TestContradictionsAreLookedUp(t *testing.T) {
	t.Parallel()
	for _, info := range []string{
		`"tooOldLogEventEndIndex":5`, `"expiredLogEventEndIndex":2147483647`, `"tooNewLogEventStartIndex":-1`,
		`"tooOldLogEventEndIndex":2,"tooNewLogEventStartIndex":1`, `"expiredLogEventEndIndex":4,"tooNewLogEventStartIndex":0`,
	} {
		for _, lost := range []bool{false, true} { // the events are stored nevertheless
			t.Run(fmt.Sprint(info, " ", lost), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := ready().with("PutLogEvents", 1, answer{raw: `{"rejectedLogEventsInfo":{` + info + `}}`, lost: lost, status: http.StatusOK})
					s, _ := open(t, c, config())
					b := doubtful(t, s, spread(4, time.Second))
					same(t, "receipt", pipeline.Receipt{}, deliver(t, s, b))
					same(t, "stored", 4, len(c.stored()))
				})
			})
		}
	}
}

// TestRejectionAtEachIndex has a batch of ten rejected up to, and from, each of
// its events, for each reason: the others are delivered and no more.
func TestRejectionAtEachIndex(t *testing.T) {
	t.Parallel()
	const n = 10
	for member, reason := range map[string]string{
		"tooOldLogEventEndIndex": "too_old", "expiredLogEventEndIndex": "expired", "tooNewLogEventStartIndex": "too_new",
	} {
		for i := range n + 1 {
			t.Run(fmt.Sprint(member, " ", i), func(t *testing.T) {
				t.Parallel()
				s, reg := open(t, ready().with("PutLogEvents", 1, answer{raw: fmt.Sprintf(`{"rejectedLogEventsInfo":{%q:%d}}`, member, i)}), config(deadLetters))
				var want []string
				for at := range n {
					if old := at < i; old == (reason != "too_new") {
						want = append(want, fmt.Sprintf("%d %s", at, reason))
					}
				}
				r := deliver(t, s, spread(n, time.Second))
				same(t, "rejections", want, reasons(r.Rejected))
				same(t, "to be tried again", 0, len(r.Retry))
				same(t, "delivered", float64(n-len(want)), value(t, reg, "gapless_cloudwatch_delivered_events_total"))
			})
		}
	}
}

// TestForeignAnswersAreNoReceipts has something else answer in CloudWatch Logs'
// place, with a success: what it was sent is not taken for delivered, and what it
// does not show not for missing.
func TestForeignAnswersAreNoReceipts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " \n", "null", "[]", "true", "<html>welcome</html>", `"{}"`, "\x1f\x8b\x08", `{"rejectedLogEv`} {
		for _, status := range []int{200, 201, 204} {
			t.Run(fmt.Sprintf("%d %q", status, text), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c := ready().with("PutLogEvents", 1, answer{status: status, raw: text, empty: text == "", lost: true})
					s, reg := open(t, c, config())
					b := doubtful(t, s, some())
					c.with("GetLogEvents", 1, answer{status: status, raw: text, empty: text == ""})
					if _, err := s.Deliver(t.Context(), b); pipeline.Classify(err).Class != pipeline.Transient || err == nil {
						t.Errorf("error %v, want that the destination could not be read", err)
					}
					c.with("GetLogEvents", 1, answer{status: http.StatusOK, raw: `{}`})
					if _, err := s.Deliver(t.Context(), b); err == nil {
						t.Error("an empty object is taken for a page of events")
					}
					deliver(t, s, b)
					wantOnce(t, c, b, reg, 50, 0, 0)
				})
			})
		}
	}
}

func TestPartOfABatchGoesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.add(dest.LogGroup, dest.LogStream)
		fault := &after{cloud: c, pass: 1, then: answer{status: 503, code: "ServiceUnavailableException"}}
		s, _ := open(t, fault, config())
		now := time.Now()
		r := deliver(t, s, batch(ev("old", now.Add(-50*time.Hour)), ev("new", now)))
		same(t, "to be tried again", []int{1}, r.Retry)
		same(t, "rejected", 0, len(r.Rejected))
		same(t, "stored", 1, len(c.stored()))
	})
}

// after lets some PutLogEvents calls pass and answers the others by script.
type after struct {
	*cloud
	pass int
	then answer
}

func (a *after) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.pass--; a.pass < 0 {
		write(w, a.then)
		return
	}
	a.cloud.ServeHTTP(w, r)
}

func TestCancelledDeliveryIsNoSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := open(t, newCloud().with("PutLogEvents", -1, answer{hang: true}), config())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.Deliver(ctx, batch(ev("a", time.Now()))); err == nil {
			t.Error("no error")
		}
		same(t, "waited", time.Second, time.Since(start))
	})
}

func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := open(t, newCloud().with("PutLogEvents", -1, answer{hang: true}), config(func(c *cloudwatch.Config) { c.RequestTimeout = 3 * time.Second }))
		start := time.Now()
		_, err := s.Deliver(t.Context(), batch(ev("a", time.Now())))
		if err == nil || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("error %v", err)
		}
		same(t, "waited", 3*time.Second, time.Since(start))
	})
}

func TestRequestsAreSigned(t *testing.T) {
	t.Parallel()
	c := newCloud()
	s, _ := open(t, c, config())
	deliver(t, s, batch(ev("a", time.Now())))
	for _, x := range c.seen("PutLogEvents") {
		if !strings.HasPrefix(x.auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(x.auth, "/eu-central-1/logs/aws4_request") {
			t.Errorf("Authorization: %q", x.auth)
		}
	}
}
