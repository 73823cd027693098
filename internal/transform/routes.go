package transform

import (
	"container/list"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// placeTime is how long a combination of values keeps its place after the last event
// that had it.
const placeTime = 24 * time.Hour

// tellEvery is how old what State has told of their use may become.
const tellEvery = time.Hour

// Routes find the destinations of a tenant's events, of no more than so many
// combinations of values, the parts of the date apart. When all places are taken,
// and none has been unused for a day, the open values of a new combination ({type},
// {organization}, {client}, {connection}) become "other". Whoever can write events
// can thus neither make as many log streams as they like nor keep the others from
// theirs.
//
// The destination of an event is kept with it from the moment that it is stored, so
// that what is found here may change. Routes are safe for concurrent use.
type Routes struct {
	group, stream *template
	limit         int
	// OnOther is called for each event that finds no place; may be nil. It must be
	// quick. It is set before the first event.
	OnOther func()

	mu     sync.Mutex
	places map[string]*list.Element // of *place, by key
	used   *list.List               // the last one used first
	fresh  bool                     // there are some that State has not told
	told   time.Time                // when State did last
}

// A place is a combination of values in use.
type place struct {
	Key  string    `json:"key"`
	Used time.Time `json:"used"`
}

// NewRoutes compiles the templates of a log group and a log stream, for so many
// combinations of values; 0 bounds nothing. What an event fills in is confined to
// its place: what names may not have, and the slash, becomes "_", so does what would
// be awkward at the beginning or end of a value, and long values are cut. A value
// that is missing is "none". No value can make a name begin as those do that AWS
// keeps for itself.
func NewRoutes(tenant, logGroup, logStream string, limit int) (*Routes, error) {
	group, err := compileGroup(logGroup, tenant)
	if err != nil {
		return nil, err
	}
	stream, err := compileStream(logStream, tenant)
	if err != nil {
		return nil, err
	}
	r := &Routes{group: group, stream: stream, places: make(map[string]*list.Element), used: list.New()}
	if group.has(openPlace) || stream.has(openPlace) {
		r.limit = limit
	}
	return r, nil
}

// Fixed reports whether all events go to one destination.
func (r *Routes) Fixed() bool { return r.group.fixed != "" && r.stream.fixed != "" }

// Route returns the destination of an event. It is a pipeline.Route.
func (r *Routes) Route(e event.Event) pipeline.Destination {
	if r.Fixed() {
		return pipeline.Destination{LogGroup: r.group.fixed, LogStream: r.stream.fixed}
	}
	group, stream := r.group.values(e), r.stream.values(e)
	if r.limit > 0 && !r.admit(r.group.key(group)+"\n"+r.stream.key(stream), time.Now()) {
		r.group.forget(group)
		r.stream.forget(stream)
		if r.OnOther != nil {
			r.OnOther()
		}
	}
	return pipeline.Destination{LogGroup: r.group.name(group), LogStream: r.stream.name(stream)}
}

// key tells a combination of values from all others, whenever it was.
func (t *template) key(values []string) string {
	var b strings.Builder
	for i, p := range t.parts {
		if p.kind == boundedPlace || p.kind == openPlace {
			b.WriteString(values[i])
			b.WriteByte('/') // no value has one
		}
	}
	return b.String()
}

// forget replaces the open values.
func (t *template) forget(values []string) {
	for i, p := range t.parts {
		if p.kind == openPlace {
			values[i] = otherName
		}
	}
}

// admit reports whether a combination has a place, and gives it one if it can.
func (r *Routes) admit(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.places[key]; at != nil {
		placeOf(at).Used = now
		r.used.MoveToFront(at)
		return true
	}
	if r.used.Len() >= r.limit {
		oldest := r.used.Back()
		if now.Sub(placeOf(oldest).Used) < placeTime {
			return false
		}
		delete(r.places, placeOf(oldest).Key)
		r.used.Remove(oldest)
	}
	r.places[key] = r.used.PushFront(&place{key, now})
	r.fresh = true
	return true
}

// placeOf returns the place that an element of the list holds.
func placeOf(at *list.Element) *place {
	p, _ := at.Value.(*place)
	return p
}

// A routesState is what Routes keep across restarts.
type routesState struct {
	Group  string  `json:"group"`
	Stream string  `json:"stream"`
	Places []place `json:"places"` // the last one used first
}

// State returns the combinations in use, to be given to Restore by the next process;
// nil when none was added since the last call, and that was less than an hour ago.
func (r *Routes) State() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.used.Len() == 0 || !r.fresh && now.Sub(r.told) < tellEvery {
		return nil, nil
	}
	s := routesState{Group: r.group.text(), Stream: r.stream.text()}
	for at := r.used.Front(); at != nil; at = at.Next() {
		s.Places = append(s.Places, *placeOf(at))
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the combinations in use: %w", err)
	}
	r.fresh, r.told = false, now
	return out, nil
}

// Restore takes in what State has returned, before the first event. What other
// templates have made of it, and what is beyond the limit, is left out: it costs no
// more than that the limit counts anew.
func (r *Routes) Restore(state []byte) error {
	var s routesState
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("read the combinations in use: %w", err)
	}
	if s.Group != r.group.text() || s.Stream != r.stream.text() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, p := range s.Places {
		p.Used = now.Add(p.Used.Sub(s.Places[0].Used))
		if r.used.Len() < r.limit && r.places[p.Key] == nil {
			r.places[p.Key] = r.used.PushBack(&p)
		}
	}
	return nil
}

// text returns the template as it was written.
func (t *template) text() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(p.text)
		} else {
			b.WriteString("{" + p.name + "}")
		}
	}
	return b.String()
}
