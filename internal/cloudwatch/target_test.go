package cloudwatch_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

func TestMissingDestinationIsMade(t *testing.T) {
	t.Parallel()
	c := newCloud()
	s, reg := open(t, c, config(func(c *cloudwatch.Config) {
		c.RetentionDays, c.LogGroupClass, c.KMSKeyID = 30, "INFREQUENT_ACCESS", "arn:aws:kms:eu-central-1:111122223333:key/example"
		c.Tags = map[string]string{"team": "platform"}
	}))
	deliver(t, s, batch(ev("a", time.Now())))
	g := c.group(dest.LogGroup)
	same(t, "retention", 30, g.retentionDays)
	same(t, "class", "INFREQUENT_ACCESS", g.class)
	same(t, "key", "arn:aws:kms:eu-central-1:111122223333:key/example", g.kms)
	same(t, "tags", map[string]string{"team": "platform"}, g.tags)
	same(t, "stored", 1, len(c.stored()))
	same(t, "made", 2.0, value(t, reg, "gapless_cloudwatch_provisioned_total"))
}

func TestDeletedWhileRunningIsMadeAgain(t *testing.T) {
	t.Parallel()
	c := newCloud()
	s, _ := open(t, c, config())
	deliver(t, s, batch(ev("a", time.Now())))
	c.drop(dest.LogGroup)
	deliver(t, s, batch(ev("b", time.Now())))
	c.add(dest.LogGroup) // only the stream is gone
	deliver(t, s, batch(ev("c", time.Now())))
	same(t, "stored", 1, len(c.stored()))
	same(t, "groups made", 2, len(c.seen("CreateLogGroup")))
}

func TestManyDeliveriesMakeADestinationOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		s, reg := open(t, c, config())
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if _, err := s.Deliver(t.Context(), batch(ev(strconv.Itoa(i), time.Now()))); err != nil {
					t.Errorf("Deliver: %v", err)
				}
			})
		}
		wg.Wait()
		same(t, "stored", 16, len(c.stored()))
		same(t, "made", 2.0, value(t, reg, "gapless_cloudwatch_provisioned_total"))
	})
}

func TestContendedCreationIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := refusal("OperationAbortedException", "A conflicting operation is currently in progress against this resource. Please try again.")
		c := newCloud().with("CreateLogGroup", 2, busy).with("CreateLogStream", 0, busy)
		s, _ := open(t, c, config())
		deliver(t, s, batch(ev("a", time.Now())))
		same(t, "tries", 3, len(c.seen("CreateLogGroup")))

		c = newCloud().with("CreateLogGroup", -1, busy)
		s, _ = open(t, c, config())
		_, err := s.Deliver(t.Context(), batch(ev("a", time.Now())))
		same(t, "class", pipeline.Transient, pipeline.Classify(err).Class)
		same(t, "tries", 4, len(c.seen("CreateLogGroup")))
	})
}

func TestSomebodyElseMadeIt(t *testing.T) {
	t.Parallel()
	c := newCloud().with("PutLogEvents", 1, noStream)
	c.add(dest.LogGroup, dest.LogStream)
	s, reg := open(t, c, config())
	deliver(t, s, batch(ev("a", time.Now())))
	same(t, "made", 0.0, value(t, reg, "gapless_cloudwatch_provisioned_total"))
	same(t, "stored", 1, len(c.stored()))
}

func TestMadeButNotVisibleYet(t *testing.T) {
	t.Parallel()
	s, _ := open(t, newCloud().with("PutLogEvents", -1, noStream), config())
	_, err := s.Deliver(t.Context(), batch(ev("a", time.Now())))
	if err == nil || pipeline.Classify(err).Class != pipeline.Transient {
		t.Errorf("error %v", err)
	}
}

func TestCreationNotAllowed(t *testing.T) {
	t.Parallel()
	denied := refusal("AccessDeniedException", "User: arn:aws:iam::111122223333:user/example is not authorized to perform: logs:CreateLogGroup")
	cases := []struct {
		name   string
		c      *cloud
		create bool
		hint   string
	}{
		{"switched off", newCloud(), false, "`aws logs create-log-group --log-group-name /auth0/example --region eu-central-1 --endpoint-url http://logs.example.com`"},
		{"denied", newCloud().with("CreateLogGroup", -1, denied), true, "logs:CreateLogGroup on arn:aws:logs:eu-central-1:*:log-group:/auth0/example:*"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := open(t, c.c, config(func(x *cloudwatch.Config) { x.Create = c.create }))
			for what, call := range map[string]func() error{
				"Deliver": func() error { _, err := s.Deliver(t.Context(), batch(ev("a", time.Now()))); return err },
				"Check":   func() error { return s.Check(t.Context(), dest) },
			} {
				got := pipeline.Classify(call())
				if got.Class != pipeline.Unauthorized || !strings.Contains(got.Hint, c.hint) {
					t.Errorf("%s: class %v, hint %q, error %v", what, got.Class, got.Hint, got.Err)
				}
			}
		})
	}
}

func TestRefusedGroupIsNoPoison(t *testing.T) {
	t.Parallel()
	c := newCloud().with("CreateLogGroup", -1, refusal("InvalidParameterException", "The KMS key does not exist."))
	s, _ := open(t, c, config())
	_, err := s.Deliver(t.Context(), some())
	same(t, "class", pipeline.Misconfigured, pipeline.Classify(err).Class)
	same(t, "calls", 1, len(c.seen("PutLogEvents")))
}

func TestOnlyTheStreamIsMissingAndMayNotBeMade(t *testing.T) {
	t.Parallel()
	c := newCloud()
	c.add(dest.LogGroup)
	s, _ := open(t, c, config(func(x *cloudwatch.Config) { x.Create = false }))
	_, err := s.Deliver(t.Context(), batch(ev("a", time.Now())))
	hint := pipeline.Classify(err).Hint
	if strings.Contains(hint, "`aws logs create-log-group") || !strings.Contains(hint, "aws logs create-log-stream --log-group-name /auth0/example --log-stream-name logs") {
		t.Errorf("hint: %s", hint)
	}
}

func TestRetentionDeniedDoesNotStopDelivery(t *testing.T) {
	t.Parallel()
	c := newCloud().with("PutRetentionPolicy", -1, refusal("AccessDeniedException", "no"))
	s, _ := open(t, c, config(func(c *cloudwatch.Config) { c.RetentionDays = 7 }))
	deliver(t, s, batch(ev("a", time.Now())))
	same(t, "stored", 1, len(c.stored()))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	denied := refusal("AccessDeniedException", "no")
	t.Run("all there, nothing but DescribeLogStreams allowed", func(t *testing.T) {
		t.Parallel()
		c := newCloud().with("DescribeLogGroups", -1, denied).with("CreateLogGroup", -1, denied).with("CreateLogStream", -1, denied)
		c.add(dest.LogGroup, dest.LogStream)
		s, _ := open(t, c, config())
		if err := s.Check(t.Context(), dest); err != nil {
			t.Error(err)
		}
		deliver(t, s, batch(ev("a", time.Now())))
	})
	t.Run("not even that", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t, newCloud().with("DescribeLogStreams", -1, denied), config())
		if err := s.Check(t.Context(), dest); err != nil {
			t.Error(err)
		}
	})
	t.Run("makes what is missing", func(t *testing.T) {
		t.Parallel()
		c := newCloud()
		s, _ := open(t, c, config())
		if err := s.Check(t.Context(), dest); err != nil {
			t.Error(err)
		}
		if g := c.group(dest.LogGroup); g == nil || len(g.streams) != 1 {
			t.Error("the destination was not made")
		}
	})
	t.Run("makes the stream alone", func(t *testing.T) {
		t.Parallel()
		c := newCloud()
		c.add(dest.LogGroup, "logs-of-others")
		s, _ := open(t, c, config())
		if err := s.Check(t.Context(), dest); err != nil {
			t.Error(err)
		}
		same(t, "groups made", 0, len(c.seen("CreateLogGroup")))
	})
	t.Run("learns the retention", func(t *testing.T) {
		t.Parallel()
		c := newCloud()
		c.add(dest.LogGroup, dest.LogStream).retentionDays = 3
		s, _ := open(t, c, config(func(c *cloudwatch.Config) { c.RetentionDays = 30 }))
		if err := s.Check(t.Context(), dest); err != nil {
			t.Error(err)
		}
		deliver(t, s, batch(ev("a", time.Now().Add(-100*time.Hour))))
		same(t, "calls", 1, len(c.seen("PutLogEvents")))
		same(t, "stored", 1, len(c.stored()))
		same(t, "retention is left alone", 3, c.group(dest.LogGroup).retentionDays)
	})
	t.Run("bad key", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t, newCloud().with("DescribeLogStreams", -1, refusal("UnrecognizedClientException", "The security token included in the request is invalid.")), config())
		same(t, "class", pipeline.Unauthorized, pipeline.Classify(s.Check(t.Context(), dest)).Class)
	})
	t.Run("bad name", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t, newCloud(), config())
		same(t, "class", pipeline.Misconfigured, pipeline.Classify(s.Check(t.Context(), pipeline.Destination{LogGroup: "?"})).Class)
	})
}
