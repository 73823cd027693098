package tenant

import (
	"math/rand/v2"
	"time"
)

// GeneratorOptions says whose traffic a Generator makes. The zero value is a
// usable default.
type GeneratorOptions struct {
	// Seed determines everything: the same options and times give the same bytes.
	Seed uint64
	// Tenant is the name in "tenant_name"; empty means "dev-tenant".
	Tenant string
	// Domain is the host name of the tenant; empty means Tenant and
	// ".us.auth0.com".
	Domain string
	// MeanSize is the mean size of an event in bytes that the generator steers
	// for, by means of the bodies of Management API calls; the median stays
	// about 1,000. 0 takes what comes, about 1,200; the steering reaches from there
	// to 2,000.
	MeanSize int
	// Quirks is the share of events with one of the oddities that real events
	// have: null where text is usual, an array as scope, no details, a type that
	// no catalogue knows. 0 means 0.01, a negative value none.
	Quirks float64
}

func (o GeneratorOptions) withDefaults() GeneratorOptions {
	if o.Tenant == "" {
		o.Tenant = "dev-tenant"
	}
	if o.Domain == "" {
		o.Domain = o.Tenant + ".us.auth0.com"
	}
	if o.Quirks == 0 {
		o.Quirks = 0.01
	}
	return o
}

// A Generator makes the log events of one tenant, as the Management API hands
// them out. It is not safe for concurrent use.
type Generator struct {
	opts    GeneratorOptions
	rng     *rand.Rand
	world   *world
	book    *book
	deck    deck
	unused  []int // the codes that anyCode has still to return
	mint    *mint
	running []*session
	latest  *session // whose event came last
	bunched bool     // whether the next event comes in the same moment

	record  record
	slow    bool // whether events are stored seconds after they happened
	made    int
	bytes   int
	pending time.Time // the time of the id before
}

// NewGenerator returns a generator at the start of its traffic.
func NewGenerator(opts GeneratorOptions) (*Generator, error) {
	opts = opts.withDefaults()
	b, err := newBook()
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(opts.Seed, 0x6761706c657373)) //nolint:gosec // believable traffic, not secrets
	return &Generator{
		opts: opts, rng: rng, book: b, deck: newDeck(), mint: newMint(),
		world: newWorld(rng, opts.Tenant, opts.Domain),
	}, nil
}

// Next returns the next event, stored at the given time: its log_id carries that
// time, or the time of the one before if that is later, and its date lies 10 ms
// to 5 s earlier.
func (g *Generator) Next(at time.Time) []byte {
	raw, _ := g.next(nil, at)
	return raw
}

// EachType returns one event of every code of the catalogue, in the order of the
// codes, a millisecond apart.
func (g *Generator) EachType(at time.Time) [][]byte {
	events := make([][]byte, 0, len(g.book.codes))
	for i, code := range g.book.codes {
		raw, _ := g.emit(nil, g.newSession([]string{code}), code, at.Add(time.Duration(i)*time.Millisecond))
		events = append(events, raw)
	}
	return events
}

// made says what a generated event is, so that nobody needs to parse it.
type made struct {
	id   string
	at   time.Time // the time in the id
	date time.Time
	code string
}

// next appends the next event to dst.
func (g *Generator) next(dst []byte, at time.Time) ([]byte, made) {
	const rareEvery = 60 // any code at all, so that each turns up now and then
	if g.rng.IntN(rareEvery) == 0 {
		code := g.anyCode()
		return g.emit(dst, g.newSession([]string{code}), code, at)
	}
	s, code := g.nextStep()
	return g.emit(dst, s, code, at)
}

// anyCode returns each code of the catalogue once before it starts again, in
// another order.
func (g *Generator) anyCode() string {
	if len(g.unused) == 0 {
		g.unused = g.rng.Perm(len(g.book.codes))
	}
	last := len(g.unused) - 1
	code := g.book.codes[g.unused[last]]
	g.unused = g.unused[:last]
	return code
}

// emit appends an event of the code to dst.
func (g *Generator) emit(dst []byte, s *session, code string, at time.Time) ([]byte, made) {
	m := made{code: code}
	m.id, m.at = g.mint.next(g.storedAt(at))
	m.date = m.at.Add(-g.delay(code)).Truncate(time.Millisecond)
	forms := g.book.byCode[code]
	t := forms[g.rng.IntN(len(forms))]
	g.write(t, s, m)
	alphabetical := g.rng.IntN(12) == 0
	m.code = g.oddity(m.code)
	from := len(dst)
	dst = g.record.appendTo(dst, alphabetical)
	g.made++
	g.bytes += len(dst) - from
	return dst, m
}

// storedAt lets an event share its id's time with the one before now and then,
// as the writes of one batch do.
func (g *Generator) storedAt(at time.Time) time.Time {
	const window = 2 * time.Second
	if g.rng.IntN(6) == 0 && at.Sub(g.pending) < window {
		return g.pending
	}
	g.pending = at
	return at
}

// delay is how long after its date an event is stored. Auth0's log store goes
// through quick spells of 10 to 100 ms and slow ones of seconds; a login now and
// then takes up to 1.3 s longer than its neighbours and so comes out of order.
func (g *Generator) delay(code string) time.Duration {
	if g.rng.IntN(400) == 0 {
		g.slow = !g.slow
	}
	ms := 10 + g.rng.IntN(80)
	if g.slow {
		ms += 2800 + g.rng.IntN(60)
	}
	if code == "s" && g.rng.IntN(3) == 0 {
		ms += g.rng.IntN(1300)
	}
	return time.Duration(ms) * time.Millisecond
}

func (g *Generator) quirk() bool { return g.rng.Float64() < g.opts.Quirks }

// oddity makes the record odd, rarely, and returns its type.
func (g *Generator) oddity(code string) string {
	if !g.quirk() {
		return code
	}
	r := &g.record
	switch g.rng.IntN(8) {
	case 0:
		r.set("description", "null")
	case 1:
		r.drop("description")
	case 2:
		r.set("client_id", "null")
	case 3:
		r.set("scope", `["read:logs","read:users"]`)
	case 4:
		r.drop("details")
	case 5:
		r.drop("environment_name")
	case 6:
		r.set("user_name", "1234567") // a number where text is expected
	default:
		r.set("type", `"`+g.book.unknown.code+`"`)
		return g.book.unknown.code
	}
	return code
}

// history calls yield for n events stored between from and to, evenly spread
// with some jitter. Half of them come within moments of the one before, however
// long the time is: a sign-in and its token exchange do not lie minutes apart.
func (g *Generator) history(n int, from, to time.Time, yield func(at time.Time)) {
	if n <= 0 {
		return
	}
	const moment = 400 * time.Millisecond
	step := to.Sub(from) / time.Duration(n)
	at := from
	for i := range n {
		next, span := from.Add(time.Duration(i)*step), step
		if g.bunched = i > 0 && step > moment && g.rng.IntN(2) == 0; g.bunched {
			next, span = at, moment
		}
		if at = next; span > 0 {
			at = at.Add(time.Duration(g.rng.Int64N(int64(span))))
		}
		yield(at)
	}
	g.bunched = false
}
