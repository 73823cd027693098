package tenant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
)

// An EventBus takes the events of eventbridge streams: it stands where a partner
// event source hands them to Amazon EventBridge.
type EventBus interface {
	// PutEvents takes events, each in the envelope in which EventBridge hands it
	// to targets. An error means that all of them are offered again, with other
	// ids. It must not keep ctx, but may keep the events.
	PutEvents(ctx context.Context, events [][]byte) error
}

// tries is how often a request is tried before it is a failure (Auth0 docs: log
// streams).
const tries = 3

// burst is how many times longer and larger a burst is than a usual round.
const burst = 10

// runStream pushes what the stream has to push until ctx ends.
func (s *Server) runStream(ctx context.Context, st *stream) {
	for s.await(ctx, st) {
		size := s.gather(ctx, st)
		for ctx.Err() == nil {
			batch := s.take(st, size)
			if len(batch) == 0 {
				break
			}
			if !s.push(ctx, st, batch) {
				pause(ctx, s.opts.Streams.Restart)
			} else if len(batch) < size {
				break // the rest came meanwhile, and gathers anew
			}
			size = s.opts.Streams.BatchSize
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// await waits until there is something to push. It returns false when ctx ends.
func (s *Server) await(ctx context.Context, st *stream) bool {
	for ctx.Err() == nil {
		s.mu.Lock()
		ready := st.Status == statusActive && len(st.queue)+len(st.held) > 0
		s.mu.Unlock()
		if ready {
			return true
		}
		select {
		case <-ctx.Done():
		case <-st.wake:
		}
	}
	return false
}

// gather lets events come together, and returns how many the next request may
// hold.
func (s *Server) gather(ctx context.Context, st *stream) (size int) {
	wait, size := s.opts.Streams.Interval, s.opts.Streams.BatchSize
	s.mu.Lock()
	if f := s.opts.Streams.Faults; st.struck(f.Bursts, "burst", strconv.Itoa(st.stats.Tries)) {
		st.stats.Bursts++
		wait, size = burst*wait, burst*size
	}
	s.mu.Unlock()
	pause(ctx, wait)
	return size
}

// lots returns what the faults draw for one of their kinds and an event or a try.
// It depends on nothing else, so that the same events meet the same faults however
// they come together in requests.
func (st *stream) lots(kind, which string) *rand.Rand {
	return rand.New(rand.NewPCG(st.seed, xxhash.Sum64String(kind+" "+which))) //nolint:gosec // what goes wrong, the same for the same seed
}

// struck draws whether a fault with this share strikes.
func (st *stream) struck(share float64, kind, which string) bool {
	return share > 0 && st.lots(kind, which).Float64() < share
}

// take takes up to size events off the queue, and with them what was held back
// for this request. Events that the faults make holes are settled, and left out.
func (s *Server) take(st *stream, size int) []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	var batch []item
	for len(batch) == 0 && st.Status == statusActive && len(st.queue)+len(st.held) > 0 {
		s.expireQueue(st)
		n := min(size, len(st.queue))
		fresh := st.queue[:n:n]
		st.queue = st.queue[n:]
		late := st.held
		st.held = nil
		batch = s.drawn(st, fresh)
		for _, it := range late {
			batch = slices.Insert(batch, st.lots("place", it.id).IntN(len(batch)+1), it)
		}
	}
	st.underWay = len(batch)
	return batch
}

// drawn lets the faults of single events strike, and returns what is to be pushed
// now. s.mu is held.
func (s *Server) drawn(st *stream, fresh []item) []item {
	f := s.opts.Streams.Faults
	batch := make([]item, 0, len(fresh))
	var holes []item
	var swap []int
	for _, it := range fresh {
		if it.drawn {
			batch = append(batch, it)
			continue
		}
		it.drawn = true
		if st.struck(f.Holes, "hole", it.id) {
			holes = append(holes, it)
			continue
		}
		if st.struck(f.Reordered, "order", it.id) {
			st.stats.Reordered++
			if st.lots("later", it.id).IntN(2) == 0 {
				st.held = append(st.held, it)
				continue
			}
			swap = append(swap, len(batch))
		}
		batch = append(batch, it)
	}
	for _, i := range swap {
		j := st.lots("place", batch[i].id).IntN(len(batch))
		batch[i], batch[j] = batch[j], batch[i]
	}
	st.stats.Holes += len(holes)
	s.settle(st, holes)
	return batch
}

// expireQueue drops the events that are older than the retention. s.mu is held.
func (s *Server) expireQueue(st *stream) {
	if s.opts.Retention <= 0 {
		return
	}
	oldest := time.Now().Add(-s.opts.Retention).UnixMilli()
	n := 0
	for n < len(st.queue) && st.queue[n].at < oldest {
		n++
	}
	st.queue = st.queue[n:]
	st.stats.Expired += n
}

// settle records that items need not be pushed again. s.mu is held. What the
// journal cannot take is pushed again after a restart, no more.
func (s *Server) settle(st *stream, items []item) {
	ids := make([]string, 0, len(items))
	for _, it := range items {
		if !it.repeat {
			ids = append(ids, it.id)
		}
	}
	if len(ids) > 0 {
		_ = s.journal.pushed(st.ID, ids) // see above
	}
}

// push tries to push a batch, three times. It returns false when that failed and
// the batch is to come again.
func (s *Server) push(ctx context.Context, st *stream, batch []item) bool {
	var err error
	for try := range tries {
		if try > 0 {
			pause(ctx, s.opts.Streams.Backoff<<(try-1))
		}
		var spoiled bool
		if spoiled, err = s.try(ctx, st, batch); err == nil {
			s.delivered(st, batch, spoiled)
			return true
		}
		if ctx.Err() != nil {
			break
		}
		s.mu.Lock()
		st.stats.Failed++
		st.stats.LastError = err.Error()
		s.mu.Unlock()
		if errors.Is(err, errNoBus) {
			break // a bus does not come by itself
		}
	}
	return s.failed(ctx, st, batch)
}

// delivered settles a batch, and draws which of its events come again.
func (s *Server) delivered(st *stream, batch []item, spoiled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.failing, st.underWay = time.Time{}, 0
	st.stats.Delivered += len(batch)
	if spoiled {
		st.stats.Spoiled += len(batch)
	}
	s.settle(st, batch)
	for _, it := range batch {
		if it.repeat {
			st.stats.Duplicates++
		} else if st.struck(s.opts.Streams.Faults.Duplicates, "duplicate", it.id) {
			it.repeat = true
			st.held = append(st.held, it)
		}
	}
}

// failed puts a batch back, at its place in the queue, and suspends a stream that
// has failed for too long. An eventbridge stream gives the batch up instead.
func (s *Server) failed(ctx context.Context, st *stream, batch []item) (done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.underWay = 0
	if st.Type == streamEventBridge && ctx.Err() == nil {
		st.stats.Dropped += len(batch)
		s.settle(st, batch)
		return true
	}
	var again []item
	for _, it := range batch {
		if it.repeat {
			st.held = append(st.held, it)
		} else {
			again = append(again, it)
		}
	}
	st.queue = append(again, st.queue...)
	if st.failing.IsZero() {
		st.failing = time.Now()
	}
	if st.Status == statusActive && time.Since(st.failing) >= s.opts.Streams.SuspendAfter {
		l := st.logStream
		l.Status = statusSuspended
		_ = s.journal.stream(l, time.Time{}) // what is lost is that a restart finds it active
		st.logStream, st.failing = l, time.Time{}
	}
	return false
}

// errAnswerLost is a good answer that the faults take for none.
var errAnswerLost = errors.New("the answer was lost, by the script")

// try pushes a batch once. Spoiled says that its body was bad.
func (s *Server) try(ctx context.Context, st *stream, batch []item) (spoiled bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Streams.Timeout)
	defer cancel()
	s.mu.Lock()
	l, f := st.logStream, s.opts.Streams.Faults
	st.stats.Tries++
	number := strconv.Itoa(st.stats.Tries)
	s.mu.Unlock()
	if l.Type == streamEventBridge {
		err = s.offer(ctx, l, st.lots("envelope", number), batch)
	} else {
		spoiled, err = s.post(ctx, st, l, number, batch)
	}
	if err == nil && st.struck(f.Repeats, "repeat", number) {
		err = errAnswerLost
		s.mu.Lock()
		st.stats.Repeats++
		s.mu.Unlock()
	}
	return spoiled, err
}

// errNoBus says that there is nobody to take the events of an eventbridge stream.
var errNoBus = errors.New("the partner event source is pending: it has no event bus")

// offer hands a batch to the event bus.
func (s *Server) offer(ctx context.Context, l logStream, rng *rand.Rand, batch []item) error {
	if s.opts.Streams.Bus == nil {
		return errNoBus
	}
	form, now := pushedForm{l.PII}, time.Now()
	events := make([][]byte, len(batch))
	for i, it := range batch {
		events[i] = form.envelope(l.Sink, it.entry, rng, now)
	}
	if err := s.opts.Streams.Bus.PutEvents(ctx, events); err != nil {
		return fmt.Errorf("put events: %w", err)
	}
	return nil
}

// post sends a batch in one request, good or bad. number is that of the try.
func (s *Server) post(ctx context.Context, st *stream, l logStream, number string, batch []item) (spoiled bool, err error) {
	s.mu.Lock()
	f := s.opts.Streams.Faults
	data, spoiled := st.body(l, f, number, batch)
	slow := st.struck(f.Slow, "slow", number)
	if slow {
		st.stats.Slow++
	}
	s.mu.Unlock()
	var body io.Reader = bytes.NewReader(data)
	if slow {
		body = &slowBody{ctx: ctx, rest: data, piece: len(data)/slowPieces + 1, wait: f.SlowFor / slowPieces}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.Sink.Endpoint, body)
	if err != nil {
		return false, errors.New("the endpoint is no address") // the error would show it, and what it may hold
	}
	req.ContentLength = int64(len(data))
	req.Header = l.Sink.header()
	resp, err := s.opts.Streams.HTTPClient.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the rest shows the endpoint
	}
	if err != nil {
		return false, fmt.Errorf("post events: %w", err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxBody) // the status decides; a read body lets the connection be used again
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return false, fmt.Errorf("post events: status %d", resp.StatusCode)
	}
	return spoiled, nil
}

// header returns the headers that the stream's requests carry.
func (k streamSink) header() http.Header {
	h := make(http.Header)
	for _, custom := range k.CustomHeaders {
		h.Add(custom.Header, custom.Value)
	}
	own := http.Header{"Content-Type": {k.ContentType}}
	if k.Authorization != "" {
		own.Set("Authorization", k.Authorization)
	}
	maps.Copy(h, own)
	return h
}

// body returns the body of a request, and whether a fault has made it bad.
// Server.mu is held.
func (st *stream) body(l logStream, f PushFaults, number string, batch []item) (body []byte, spoiled bool) {
	form, broken := pushedForm{l.PII}, -1
	lots := st.lots("body", number)
	switch draw := lots.Float64(); {
	case draw < f.Truncated:
		st.stats.Truncated++
		body = form.body(l.Sink.ContentFormat, batch, broken)
		return half(body), true
	case draw < f.Truncated+f.Broken:
		st.stats.Broken++
		return form.body(l.Sink.ContentFormat, batch, lots.IntN(len(batch))), true
	case draw < f.Truncated+f.Broken+f.NotJSON:
		st.stats.NotJSON++
		return []byte("<html><head><title>502 Bad Gateway</title></head></html>\n"), true
	default:
		return form.body(l.Sink.ContentFormat, batch, broken), false
	}
}

// half returns about half of a body, cut within a record.
func half(body []byte) []byte {
	n := len(body) / 2
	for n > 1 && (body[n-1] == '\n' || body[n-1] == '}') {
		n--
	}
	return body[:n]
}

// slowPieces is in how many pieces a slow body comes.
const slowPieces = 8

// slowBody is a body that comes in pieces, with waits between them.
type slowBody struct {
	ctx   context.Context
	rest  []byte
	piece int
	left  int // of the piece that has come
	wait  time.Duration
}

// Read implements io.Reader.
func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	if b.left == 0 {
		pause(b.ctx, b.wait)
		b.left = min(b.piece, len(b.rest))
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n := copy(p, b.rest[:b.left])
	b.rest, b.left = b.rest[n:], b.left-n
	return n, nil
}
