// Command soak exports a steady stream of events with faults on both sides for as
// long as it is told, watches what the exporter takes of the machine, and fails
// when that grows, or when an event is lost or arrives twice.
//
//	tenant (emulated) ──► gapless, a process of its own ──► CloudWatch Logs (emulated)
//	      every few seconds answers are lost, cut, refused; now and then an outage
//
// It prints a line of figures now and then. Memory, file descriptors, goroutines
// and the size of the store are compared between the middle third and the last
// third of the run; figure.allowed states how much more they may be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	duration := flag.Duration("duration", 10*time.Minute, "how long events flow")
	rate := flag.Float64("rate", 200, "events a second")
	flag.Parse()
	err := child(ctx)
	if errors.Is(err, errNoChild) {
		err = soak(ctx, *duration, *rate)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak is the whole run.
func soak(ctx context.Context, duration time.Duration, rate float64) (err error) {
	if duration < 30*time.Second || rate <= 0 {
		return errors.New("it takes at least 30s and some events to say anything")
	}
	s, err := openStage() //nolint:contextcheck // the emulators end with close
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p, err := startChild(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()

	flow, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var parts sync.WaitGroup
	var flowErr error
	parts.Go(func() { flowErr = s.tenant.Run(flow, rate) })
	parts.Go(func() { s.disturb(flow) })
	samples, err := watch(flow, p, s, max(duration/30, 2*time.Second))
	cancel()
	parts.Wait()
	if err = errors.Join(err, flowErr); err != nil || ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if err := s.settle(ctx, p); err != nil {
		return err
	}
	return errors.Join(judge(samples), s.compare())
}

// watch takes samples until ctx ends.
func watch(ctx context.Context, p *process, s *stage, every time.Duration) ([]sample, error) {
	fmt.Printf("%8s %9s %9s %8s %8s %6s %11s %10s\n", "time", "delivered", "buffered", "faults", "RSS MiB", "files", "goroutines", "store MiB")
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	began := time.Now()
	var list []sample
	for {
		select {
		case <-ctx.Done():
			return list, nil
		case <-p.ended:
			return list, errors.New("the exporter ended by itself")
		case <-ticker.C:
		}
		x, err := p.sample(ctx)
		if ctx.Err() != nil {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		x.at = time.Since(began)
		list = append(list, x)
		fmt.Printf("%8s %9.0f %9.0f %8d %8.1f %6.0f %11.0f %10.1f\n", x.at.Round(time.Second), x.delivered, x.buffered, s.struck.Load()+s.hits(), x.rss, x.files, x.goroutines, x.store)
	}
}

// disturb lets things go wrong until ctx ends: single calls all the time, and an
// outage of each side now and then.
func (s *stage) disturb(ctx context.Context) {
	next := time.NewTicker(4 * time.Second)
	defer next.Stop()
	for round := 1; ; round++ {
		s.calm()
		switch round % 8 {
		case 0:
			s.aws.Add(emulator.Fault{Match: "PutLogEvents", Status: 503, Times: -1})
		case 4:
			s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Kind: emulator.FaultCut, Times: -1})
		default:
			s.aws.Add(draw("PutLogEvents", emulator.FaultLost), draw("PutLogEvents", emulator.Kinds()...), draw("GetLogEvents", emulator.FaultCut, emulator.FaultLost))
			s.auth0.Add(draw("GET /api/v2/logs", emulator.Kinds()...), draw("GET /api/v2/logs", emulator.Kinds()...))
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// draw makes a fault of one of some kinds.
func draw(match string, kinds ...emulator.FaultKind) emulator.Fault {
	f := emulator.Fault{Match: match, Kind: kinds[rand.IntN(len(kinds))], After: rand.IntN(4), Times: 1 + rand.IntN(3)}
	switch f.Kind { //nolint:exhaustive // the others need nothing
	case emulator.FaultAnswer:
		f.Status = []int{429, 500, 503}[rand.IntN(3)]
	case emulator.FaultDelay:
		f.Delay = 500 * time.Millisecond
	case emulator.FaultHang:
		f.Times = 1
	}
	return f
}
