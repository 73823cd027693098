package app_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A hazard is a fault of a service that lasts for a while.
type hazard struct {
	strike func(*stage)
	early  bool // strikes before gapless starts, which then has no access token
	shape  func(*config.Config)
	lasts  time.Duration // 6 minutes where it is zero
	// told is the trouble that must be told while it lasts, as "part class" with a
	// word of the message or the hint behind it; empty when there is nothing to tell.
	told string
	// slow says that a person must act, so that tries are far apart, but for those
	// that bring events all the same.
	slow, brings bool
	// within is how long after the mending everything has arrived; 3 minutes where
	// it is zero.
	within time.Duration
	// letters is how many dead letters there are in the end.
	letters int64
}

// A stage is what a hazard strikes: the services of one tenant, and somebody in
// the middle of each connection.
type stage struct {
	*site

	t              *testing.T
	toAuth0, toAWS *meddler
}

// A meddler stands between gapless and a service, and may do to requests and
// answers what a script of faults cannot.
type meddler struct {
	next http.RoundTripper

	mu    sync.Mutex
	with  func(r *http.Request, next http.RoundTripper) (*http.Response, error)
	calls int
}

// RoundTrip implements http.RoundTripper.
func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.calls++
	with := m.with
	m.mu.Unlock()
	if with == nil {
		return m.next.RoundTrip(r)
	}
	return with(r, m.next)
}

// meddle sets what is done from now on; nil ends it.
func (m *meddler) meddle(with func(r *http.Request, next http.RoundTripper) (*http.Response, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.with = with
}

// seen returns the number of requests so far.
func (m *meddler) seen() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// A rewriter changes the answers 200 to requests for a path or an operation that
// holds some text.
type rewriter struct {
	of     string
	change func(header http.Header, body []byte) []byte
}

// pass passes a request on.
func (w rewriter) pass(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(r.URL.Path+r.Header.Get("X-Amz-Target"), w.of) {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = w.change(resp.Header, body)
	resp.Header.Del("Content-Length")
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// hazards returns all of them, by name. docs/faults.md has a line for each.
func hazards() map[string]hazard {
	all := make(map[string]hazard)
	for _, part := range []map[string]hazard{tokenHazards(), logsHazards(), oddLogsHazards(), putHazards(), oddPutHazards()} {
		maps.Copy(all, part)
	}
	return all
}

// TestHazards lets each fault of a service befall a running gapless for a while
// and mends it: what is wrong is told while it lasts, in words that say what to
// do where a person must act, and over once it is mended. It goes on by itself, and
// every event is in the stream once, under its own date.
func TestHazards(t *testing.T) {
	t.Parallel()
	for name, h := range hazards() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { h.befall(t) })
		})
	}
}

// befall plays the hazard.
func (h hazard) befall(t *testing.T) {
	t.Helper()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	defer w.close(t.Context(), t)
	if h.shape != nil {
		h.shape(w.cfg)
	}
	s := &stage{w.sites[0], t, &meddler{next: w.hosts["dev.example.com"]}, &meddler{next: w.hosts["logs-dev.example.com"]}}
	w.hosts["dev.example.com"], w.hosts["logs-dev.example.com"] = s.toAuth0, s.toAWS
	if err := s.tenant.Generate(250, time.Now().Add(-3*time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	s.live(t.Context(), t, 0.05)
	if h.early {
		h.strike(s)
		w.start(t.Context(), t)
	} else {
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		w.wantWell(t, "dev")
		h.strike(s)
	}
	h.endure(t, w, s)
	h.heal(t, w, s)
	s.quit()
	<-time.After(3 * time.Minute) // a pause that the rate limit asks for takes two
	s.compare(t)
	if o := w.overview(t.Context(), t, "dev"); o.DeadLetters != h.letters || len(o.Gaps) > 0 || o.Buffered > 0 {
		t.Errorf("in the end there are %d dead letters, %d gaps and %d events in the buffer", o.DeadLetters, len(o.Gaps), o.Buffered)
	}
}

// endure lets the hazard last, and checks what is told meanwhile.
func (h hazard) endure(t *testing.T, w *world, s *stage) {
	t.Helper()
	lasts := h.lasts
	if lasts == 0 {
		lasts = 6 * time.Minute
	}
	began, calls := time.Now(), s.toAuth0.seen()+s.toAWS.seen()
	if h.told == "" {
		<-time.After(lasts)
		return
	}
	told, soon := web.Trouble{}, time.Minute // hanging calls take a while to be noticed
	if h.slow {
		soon = 15 * time.Second // a poll comes around, and within seconds of it
	}
	for time.Since(began) < soon && told.Part == "" {
		<-time.After(time.Second)
		told = h.find(w.overview(t.Context(), t, "dev").Troubles)
	}
	if told.Part == "" {
		t.Errorf("after %v %q is not told: %+v", soon, h.told, w.overview(t.Context(), t, "dev").Troubles)
	}
	<-time.After(lasts - time.Since(began))
	o := w.overview(t.Context(), t, "dev")
	if told = h.find(o.Troubles); told.Part == "" || told.NeedsPerson() != h.slow || h.slow && told.Hint == "" {
		t.Errorf("in the end %q is not told: %+v", h.told, o.Troubles)
	}
	// A try every 30 s or so once it has slowed down, each of some calls; and what
	// goes on beside it, a poll every ten seconds.
	if n, most := s.toAuth0.seen()+s.toAWS.seen()-calls, 20+int(lasts/time.Second)/10*3; h.slow && !h.brings && n > most {
		t.Errorf("%d calls in %v, want %d at most", n, lasts, most)
	}
}

// find returns the trouble that is to be told; nothing when it is not there.
func (h hazard) find(list []web.Trouble) web.Trouble {
	part, rest, _ := strings.Cut(h.told, " ")
	class, word, _ := strings.Cut(rest, " ")
	for _, x := range list {
		if x.Part == part && x.Class == class && strings.Contains(x.Message+" "+x.Hint, word) {
			return x
		}
	}
	return web.Trouble{}
}

// heal mends everything and waits until nothing is told any more and everything
// has arrived.
func (h hazard) heal(t *testing.T, w *world, s *stage) {
	t.Helper()
	s.auth0.Clear()
	s.aws.Clear()
	s.toAuth0.meddle(nil)
	s.toAWS.meddle(nil)
	within := h.within
	if within == 0 {
		within = 3 * time.Minute
	}
	for mended := time.Now(); ; <-time.After(within / 180) {
		o := w.overview(t.Context(), t, "dev")
		behind := s.behind()
		if len(o.Troubles) == 0 && behind <= w.lag() {
			return
		}
		if time.Since(mended) > within {
			t.Errorf("%v after the repair it is %v behind, with troubles %+v", within, behind, o.Troubles)
			return
		}
	}
}

// TestFaultsAreDocumented holds docs/faults.md against the tests: it has a line for
// every hazard that says what is told, and every test that it names is there.
func TestFaultsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) == 6 {
			lines[strings.TrimSpace(cells[1])] = line
		}
	}
	all := hazards()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		part, rest, _ := strings.Cut(all[name].told, " ")
		class, word, _ := strings.Cut(rest, " ")
		line, ok := lines[name]
		switch {
		case !ok:
			t.Errorf("docs/faults.md has no line for %q", name)
		case !strings.Contains(line, "`TestHazards`"):
			t.Errorf("the line of %q does not name TestHazards", name)
		case part != "" && (!strings.Contains(line, "`"+part+" "+class+"`") || !strings.Contains(line, word)):
			t.Errorf("the line of %q does not say `%s %s` and %q", name, part, class, word)
		}
	}
	tests := sources(t)
	for _, name := range regexp.MustCompile("`Test[A-Za-z0-9]+`").FindAllString(string(page), -1) {
		if name = strings.Trim(name, "`"); !strings.Contains(tests, "func "+name+"(") {
			t.Errorf("docs/faults.md names %s, which is not there", name)
		}
	}
}

// sources returns the text of all tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*/*_test.go", "*/*/*_test.go"} {
		matches, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range matches {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}
