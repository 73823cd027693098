package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// standVariable makes the test binary be the driver and the endpoint.
const standVariable = "GAPLESS_BENCH_STAND"

const (
	pushEvents      = 200_000
	pushBody        = 100 // events
	pushConnections = 8
	pushDistinct    = 20_000 // events that are made; they come again under other ids
	// The limit of a PutLogEvents call, and what each event counts besides its
	// bytes (PutLogEvents in the CloudWatch Logs API reference).
	putLimit    = 1 << 20
	putOverhead = 26
	// idMark precedes the number of an event in its log_id.
	idMark = "benchpush"
)

// serveStand tells the endpoint's address, waits for the webhook's, pushes, and
// tells what has arrived.
func serveStand() error {
	e := &endpoint{ticked: make([]atomic.Bool, pushEvents), done: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, e) }()
	events, err := makeEvents()
	if err != nil {
		return err
	}
	fmt.Printf("%q\n", "http://"+l.Addr().String())
	in := bufio.NewReader(os.Stdin)
	url, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	size, err := drive(strings.TrimSpace(url), events)
	if err == nil {
		select {
		case <-e.done:
		case <-time.After(5 * time.Minute):
			err = fmt.Errorf("%d of %d events have arrived", e.arrived.Load(), pushEvents)
		}
	}
	r := result{Puts: float64(e.puts.Load()), Wire: float64(e.wire.Load()), Fewest: float64((size + putLimit - 1) / putLimit)}
	if f := e.fault.Load(); err == nil && f != nil {
		err = *f
	}
	if err != nil {
		r.Fault = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// makeEvents makes the events, each with a place for its number: mark and eight
// digits within the log_id.
func makeEvents() ([][]byte, error) {
	g, err := tenant.NewGenerator(tenant.GeneratorOptions{Seed: 1, MeanSize: benchMeanSize})
	if err != nil {
		return nil, err
	}
	list := make([][]byte, 0, pushDistinct)
	at := time.Now().Add(-time.Hour)
	for range pushDistinct {
		at = at.Add(time.Millisecond)
		var id struct {
			ID string `json:"log_id"`
		}
		e := g.Next(at)
		if err := json.Unmarshal(e, &id); err != nil {
			return nil, err
		}
		if id.ID == "" {
			continue
		}
		list = append(list, bytes.ReplaceAll(e, []byte(id.ID), fmt.Appendf(nil, "900%s%08d", idMark, 0)))
	}
	return list, nil
}

// drive pushes the events and returns their bytes as PutLogEvents counts them.
func drive(url string, events [][]byte) (int64, error) {
	var next, size atomic.Int64
	var work errgroup.Group
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pushConnections, MaxConnsPerHost: pushConnections}}
	for range pushConnections {
		work.Go(func() error {
			var body bytes.Buffer
			for {
				from := next.Add(pushBody) - pushBody
				if from >= pushEvents {
					return nil
				}
				body.Reset()
				for n := from; n < from+pushBody; n++ {
					body.WriteByte("[,"[min(n-from, 1)])
					at := body.Len()
					e := events[n%int64(len(events))]
					body.Write(e)
					number(body.Bytes()[at:], n)
					size.Add(int64(len(e)) + putOverhead)
				}
				body.WriteByte(']')
				if err := deliver(client, url, body.Bytes()); err != nil {
					return err
				}
			}
		})
	}
	err := work.Wait()
	return size.Load(), err
}

// number writes an event's number behind each of its marks.
func number(e []byte, n int64) {
	digits := fmt.Appendf(nil, "%08d", n)
	for {
		i := bytes.Index(e, []byte(idMark))
		if i < 0 {
			return
		}
		e = e[i+len(idMark):]
		copy(e, digits)
	}
}

// An endpoint takes PutLogEvents and ticks off what comes.
type endpoint struct {
	ticked              []atomic.Bool
	arrived, puts, wire atomic.Int64
	fault               atomic.Pointer[error]
	once                sync.Once
	done                chan struct{}
	bodies              sync.Pool
	zips                sync.Pool
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutLogEvents") {
		if err := e.put(r); err != nil {
			e.fail(err)
		}
	} else {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	_, _ = io.WriteString(rw, `{"nextSequenceToken":"1"}`)
}

// fail notes the first fault and ends the waiting.
func (e *endpoint) fail(err error) {
	e.fault.CompareAndSwap(nil, &err)
	e.once.Do(func() { close(e.done) })
}

// put reads a call.
func (e *endpoint) put(r *http.Request) error {
	e.puts.Add(1)
	e.wire.Add(r.ContentLength)
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zip, _ := e.zips.Get().(*gzip.Reader)
		if zip == nil {
			zip = new(gzip.Reader)
		}
		defer e.zips.Put(zip)
		if err := zip.Reset(r.Body); err != nil {
			return err
		}
		from = zip
	}
	body, _ := e.bodies.Get().(*bytes.Buffer)
	if body == nil {
		body = new(bytes.Buffer)
	}
	defer e.bodies.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(from); err != nil {
		return err
	}
	return e.tick(body.Bytes())
}

// tick ticks off the events of a call: each is told by its log_id at the top of
// the message.
func (e *endpoint) tick(b []byte) error {
	last := int64(-1)
	for {
		i := bytes.Index(b, []byte(idMark))
		if i < 0 {
			return nil
		}
		b = b[i+len(idMark):]
		n := int64(0)
		for _, c := range b[:8] {
			n = n*10 + int64(c-'0')
		}
		if n == last { // _id and log_id are the same
			continue
		}
		last = n
		if n < 0 || n >= pushEvents || e.ticked[n].Swap(true) {
			return fmt.Errorf("event %d came twice", n)
		}
		if e.arrived.Add(1) == pushEvents {
			e.once.Do(func() { close(e.done) })
		}
	}
}
