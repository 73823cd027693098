package cloudwatch_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// some makes a batch that is worth compressing.
func some() pipeline.Batch {
	var events []event.Event
	for i := range 50 {
		events = append(events, ev(fmt.Sprintf("event-%d", i), time.Now()))
	}
	return batch(events...)
}

// zips tells which PutLogEvents calls were compressed.
func zips(c *cloud) []bool {
	var out []bool
	for _, x := range c.seen("PutLogEvents") {
		out = append(out, x.zipped)
	}
	return out
}

func ready() *cloud {
	c := newCloud()
	c.add(dest.LogGroup, dest.LogStream)
	return c
}

func TestBodiesAreCompressed(t *testing.T) {
	t.Parallel()
	c := ready()
	s, reg := open(t, c, config())
	deliver(t, s, some())
	same(t, "compressed", []bool{true}, zips(c))
	message, wire := value(t, reg, "gapless_cloudwatch_sent_bytes_total", "form=message"), value(t, reg, "gapless_cloudwatch_sent_bytes_total", "form=wire")
	if wire <= 0 || wire > message/2 {
		t.Errorf("%v bytes of messages took %v on the wire", message, wire)
	}
	c = ready()
	s, _ = open(t, c, config(func(c *cloudwatch.Config) { c.Compression = "none" }))
	deliver(t, s, some())
	same(t, "compressed", []bool{false}, zips(c))
}

func TestEndpointsThatRefuseGzip(t *testing.T) {
	t.Parallel()
	refusals := map[string]answer{
		"500 with a page":  {status: 500, raw: "<html>UnicodeDecodeError</html>"},
		"500 of AWS":       {status: 500, code: "InternalFailure"},
		"serialization":    {status: 400, code: "SerializationException"},
		"invalid":          {status: 400, code: "InvalidParameterException", message: "1 validation error detected"},
		"415":              {status: 415, raw: "no"},
		"400 with garbage": {status: 400, raw: "\x00\x01"},
	}
	for name, a := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ready()
			c.noGzip = &a
			s, _ := open(t, c, config())
			deliver(t, s, some())
			deliver(t, s, some())
			want := []bool{true, false, false}
			if a.status >= 500 { // two probes find out
				want = []bool{true, true, false, false, false}
			}
			same(t, "compressed", want, zips(c))
			same(t, "stored", 100, len(c.stored()))
		})
	}
}

func TestGzipRefusedAndDestinationMissing(t *testing.T) {
	t.Parallel()
	c := newCloud()
	c.noGzip = &answer{status: 500, raw: "no"}
	s, _ := open(t, c, config())
	deliver(t, s, some())
	same(t, "stored", 50, len(c.stored()))
}

func TestOutagesAreNotTakenForARefusalOfGzip(t *testing.T) {
	t.Parallel()
	c := ready().with("PutLogEvents", 6, answer{status: 500, raw: "down"})
	s, _ := open(t, c, config())
	for range 2 {
		if _, err := s.Deliver(t.Context(), some()); err == nil {
			t.Error("no error")
		}
	}
	deliver(t, s, some())
	same(t, "compressed", []bool{true, true, false, true, true, false, true}, zips(c))
}

// TestAFaultThatStoredIsNotTakenForARefusalOfGzip has the very first call stored
// and answered with 500: it must not be sent plain.
func TestAFaultThatStoredIsNotTakenForARefusalOfGzip(t *testing.T) {
	t.Parallel()
	c := ready().with("PutLogEvents", 1, answer{status: 500, raw: "down", lost: true})
	s, _ := open(t, c, config())
	if _, err := s.Deliver(t.Context(), some()); !pipeline.Classify(err).OutcomeUnknown {
		t.Errorf("error %v, want one of an unknown outcome", err)
	}
	same(t, "compressed", []bool{true, true}, zips(c)) // the second is the probe
	same(t, "stored", 50, len(c.stored()))
}

func TestNoFallBackOnceGzipHasWorked(t *testing.T) {
	t.Parallel()
	c := ready()
	s, _ := open(t, c, config())
	deliver(t, s, some())
	c.with("PutLogEvents", 1, answer{status: 500, raw: "down"})
	if _, err := s.Deliver(t.Context(), some()); err == nil {
		t.Error("no error")
	}
	deliver(t, s, some())
	same(t, "compressed", []bool{true, true, true}, zips(c))
}

func TestUnknownOutcomesAreNotSentPlain(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]answer{"cut": {cut: true}, "lost": {lost: true}, "hang": {hang: true}, "garbage": {raw: "\x00"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := ready().with("PutLogEvents", 1, a)
				s, _ := open(t, c, config())
				if _, err := s.Deliver(t.Context(), some()); err == nil {
					t.Error("no error")
				}
				same(t, "compressed", []bool{true}, zips(c))
			})
		})
	}
}

func TestClearAnswersAreNotAboutGzip(t *testing.T) {
	t.Parallel()
	for _, a := range []answer{
		{status: 400, code: "ThrottlingException"},
		{status: 400, code: "AccessDeniedException"},
		{status: 400, code: "UnrecognizedClientException"},
		{status: 503, code: "ServiceUnavailableException"},
		{status: 502, raw: "bad gateway"},
		{status: 504, raw: "gateway timeout"},
	} {
		c := ready().with("PutLogEvents", 1, a)
		s, _ := open(t, c, config())
		if _, err := s.Deliver(t.Context(), some()); err == nil {
			t.Error("no error")
		}
		same(t, "compressed", []bool{true}, zips(c))
	}
}

func TestBodiesInFlightDoNotMix(t *testing.T) {
	t.Parallel()
	c := ready()
	s, _ := open(t, c, config())
	want := make(map[string]int)
	var wg sync.WaitGroup
	for i := range 40 {
		var events []event.Event
		for j := range 20 {
			e := ev(fmt.Sprintf("%d-%d", i, j), time.Now())
			events = append(events, e)
			want[string(e.Raw)]++
		}
		wg.Go(func() {
			if _, err := s.Deliver(t.Context(), batch(events...)); err != nil {
				t.Errorf("Deliver: %v", err)
			}
		})
	}
	wg.Wait()
	got := make(map[string]int)
	for _, x := range c.stored() {
		got[x.Message]++
	}
	same(t, "stored", want, got)
}
