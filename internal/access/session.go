package access

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds on sessions. Beyond them the one that was used longest ago ends.
const (
	maxSessions  = 1000
	maxPerPerson = 20
	// idBytes is how long the secret of a session is: 256 bits.
	idBytes = 32
)

// A session is somebody who has logged in. Its id, which the browser has, is not kept:
// who reads the file of the sessions can use none of them.
type session struct {
	who     person
	created time.Time
	used    time.Time
	ended   context.Context //nolint:containedctx // it ends the answers that go on for long
	end     context.CancelFunc
}

// A savedSession is a session in the file.
type savedSession struct {
	Sum     []byte    `json:"sum"` // SHA-256 of the id
	Who     person    `json:"who"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
}

// sessions are those that are open.
type sessions struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]*session
}

// newSessions takes up what save has written; nothing of it may be usable.
func newSessions(saved []byte) (*sessions, error) {
	s := &sessions{open: make(map[[sha256.Size]byte]*session)}
	if len(saved) == 0 {
		return s, nil
	}
	var list []savedSession
	if err := json.Unmarshal(saved, &list); err != nil {
		return s, fmt.Errorf("read sessions: %w", err)
	}
	for _, one := range list {
		if len(one.Sum) != sha256.Size || len(s.open) >= maxSessions {
			continue
		}
		s.open[[sha256.Size]byte(one.Sum)] = newSession(one.Who, one.Created, one.Used)
	}
	return s, nil
}

func newSession(who person, created, used time.Time) *session {
	n := &session{who: who, created: created, used: used}
	n.renew()
	return n
}

// renew makes the context that ends with the session.
func (o *session) renew() { o.ended, o.end = context.WithCancel(context.Background()) }

// saved returns the sessions for newSessions.
func (s *sessions) saved() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]savedSession, 0, len(s.open))
	for sum, one := range s.open {
		list = append(list, savedSession{Sum: sum[:], Who: one.who, Created: one.created, Used: one.used})
	}
	slices.SortFunc(list, func(a, b savedSession) int { return bytes.Compare(a.Sum, b.Sum) })
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("write sessions: %w", err)
	}
	return b, nil
}

// start opens a session and returns its id.
func (s *sessions) start(who person) (id string) {
	raw := make([]byte, idBytes)
	_, _ = rand.Read(raw) // it never fails
	id = base64.RawURLEncoding.EncodeToString(raw)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict(maxPerPerson, func(o *session) bool {
		return o.who.By == who.By && o.who.Subject == who.Subject && o.who.Name == who.Name
	})
	s.evict(maxSessions, func(*session) bool { return true })
	s.open[sha256.Sum256([]byte(id))] = newSession(who, now, now)
	return id
}

// evict makes room for one more among the sessions of a kind.
func (s *sessions) evict(most int, of func(*session) bool) {
	count := 0
	var oldest [sha256.Size]byte
	var found *session
	for sum, o := range s.open {
		if !of(o) {
			continue
		}
		count++
		if found == nil || o.used.Before(found.used) {
			oldest, found = sum, o
		}
	}
	if count >= most {
		found.end()
		delete(s.open, oldest)
	}
}

// find returns the session of an id and what its person may do, and notes that it is
// used. One that is too old, or whose person may nothing any more, ends here.
func (s *sessions) find(id string, p *Policy) (*session, Role) {
	if id == "" {
		return nil, None
	}
	sum := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[sum]
	if o == nil {
		return nil, None
	}
	now := time.Now()
	role := o.role(p, now)
	if role == None {
		o.end()
		delete(s.open, sum)
		return nil, None
	}
	o.used = now
	return o, role
}

// role returns what the person of a session may do.
func (o *session) role(p *Policy, now time.Time) Role {
	if now.Sub(o.used) > p.idle() || now.Sub(o.created) > p.lifetime() {
		return None
	}
	return p.role(o.who)
}

// finish ends a session, if there is one.
func (s *sessions) finish(id string) {
	sum := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[sum]; o != nil {
		o.end()
		delete(s.open, sum)
	}
}

// sweep ends the sessions that a policy does not let go on, and those answers under way
// that belong to people who may less than before.
func (s *sessions) sweep(p, before *Policy) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for sum, o := range s.open {
		role := o.role(p, now)
		if role == None {
			delete(s.open, sum)
			o.end()
			continue
		}
		if before != nil && role < before.role(o.who) {
			o.end()
			o.renew()
		}
	}
}

// done returns the context that ends with a session.
func (s *sessions) done(o *session) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return o.ended
}

// closeAll ends the answers under way of all sessions. The sessions themselves stay.
func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.open {
		o.end()
	}
}

// csrfOf derives the token of a session from its id: it need not be kept, and tells
// nothing of the id.
func csrfOf(id string) string {
	m := hmac.New(sha256.New, []byte(id))
	m.Write([]byte("gapless csrf"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
