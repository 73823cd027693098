package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A stage is the world around the exporter.
type stage struct {
	tenant       *tenant.Server
	cloudwatch   *cloudwatch.Server
	auth0, aws   *emulator.Faults
	auth0S, awsS *httptest.Server
	dir          string
	struck       atomic.Int64 // requests, by the faults that were cleared
}

// openStage makes both services.
func openStage() (s *stage, err error) {
	s = &stage{auth0: emulator.NewFaults(), aws: emulator.NewFaults()}
	if s.tenant, err = tenant.New(tenant.Options{Faults: s.auth0}); err != nil {
		return nil, fmt.Errorf("make tenant: %w", err)
	}
	if s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Faults: s.aws}); err != nil {
		return nil, errors.Join(fmt.Errorf("make CloudWatch Logs: %w", err), s.tenant.Close())
	}
	if s.dir, err = os.MkdirTemp("", "gapless-soak-"); err != nil {
		return nil, errors.Join(err, s.tenant.Close(), s.cloudwatch.Close())
	}
	s.auth0S, s.awsS = httptest.NewServer(s.tenant), httptest.NewServer(s.cloudwatch)
	return s, nil
}

// close ends both services and removes what the exporter has written.
func (s *stage) close() error {
	s.auth0S.Close()
	s.awsS.Close()
	return errors.Join(s.tenant.Close(), s.cloudwatch.Close(), os.RemoveAll(s.dir))
}

// hits counts the requests that the faults in force have struck.
func (s *stage) hits() (n int64) {
	for _, f := range append(s.auth0.List(), s.aws.List()...) {
		n += int64(f.Hits)
	}
	return n
}

// calm ends all faults.
func (s *stage) calm() {
	s.struck.Add(s.hits())
	s.aws.Clear()
	s.auth0.Clear()
}

// settle waits, without faults, until everything is delivered.
func (s *stage) settle(ctx context.Context, p *process) error {
	s.calm()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		x, err := p.sample(ctx)
		if err == nil && x.buffered == 0 && x.inFlight == 0 && int(x.delivered) >= len(s.tenant.Events()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not everything was delivered in the end: %w", errors.Join(err, context.Cause(ctx)))
		case <-tick.C:
		}
	}
}

// compare counts what is lost, and what arrived twice.
func (s *stage) compare() error {
	got := make(map[string]int)
	for _, e := range s.cloudwatch.Events("/auth0/dev", "logs") {
		got[e.Message]++
	}
	held := s.tenant.Events()
	lost, twice := 0, 0
	for _, raw := range held {
		switch n := got[string(raw)]; {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	fmt.Printf("\n%d events: %d lost, %d twice\n", len(held), lost, twice)
	if lost+twice > 0 || len(got) != len(held) {
		return fmt.Errorf("%d events were lost and %d arrived twice; %d arrived that the tenant does not hold", lost, twice, len(got)+lost-len(held))
	}
	return nil
}
