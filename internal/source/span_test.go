package source_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/source"
)

// spanOf reads a span and returns the log_ids that are dated within it.
func spanOf(t *testing.T, api source.LogsAPI, since, until time.Time) (ids []string, sure time.Time) {
	t.Helper()
	sure, err := source.ReadSpan(t.Context(), source.SpanConfig{Since: since, Until: until}, api, func(list []event.Event) error {
		for _, e := range list {
			if !e.Date.Before(since) && !e.Date.After(until) {
				ids = append(ids, e.LogID)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, sure
}

// TestReadSpan reads spans of tenants of each kind, through faults that pass: exactly
// the events of the span arrive, in the order of log_id, and reading ends by itself
// although the tenant writes on.
func TestReadSpan(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(*fakeAuth0){
		"real ids":          func(*fakeAuth0) {},
		"built id refused":  func(s *fakeAuth0) { s.knownOnly = true },
		"built id is empty": func(s *fakeAuth0) { s.fault = emptyOnUnknown(s) },
		"no search by date": func(s *fakeAuth0) { s.refusesQ = true },
		"passing faults": func(s *fakeAuth0) {
			s.fault = func(n int, _ call) (*auth0.Answer, error) {
				if n%3 == 1 {
					return nil, serverError(503)
				}
				return nil, nil
			}
		},
	}
	for kind, shape := range kinds {
		for _, opaque := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s opaque %t", kind, opaque), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := new(fakeAuth0)
					history(s, 450, time.Minute, 10*time.Second, opaque)
					shape(s)
					all := s.ids()
					ids, sure := spanOf(t, s, time.Now().Add(-400*time.Minute), time.Now().Add(-100*time.Minute))
					if diff := cmp.Diff(all[50:350], ids); diff != "" {
						t.Errorf("events (-want +got):\n%s", diff)
					}
					if age := time.Since(sure); age < 20*time.Hour { // the shortest retention, with a margin
						t.Errorf("sure since %v ago", age)
					}
					if ids, _ = spanOf(t, s, time.Now().Add(-100*time.Minute), time.Now()); len(ids) != 100 {
						t.Errorf("%d events of the last 100 minutes", len(ids))
					}
					if ids, _ = spanOf(t, new(fakeAuth0), time.Now().Add(-time.Hour), time.Now()); len(ids) != 0 {
						t.Errorf("%d events of an empty tenant", len(ids))
					}
				})
			})
		}
	}
}

// TestReadSpanEnds stops at errors that do not pass, and at that of who reads.
func TestReadSpanEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 50, time.Minute, time.Minute, false)
		enough := errors.New("enough")
		c := source.SpanConfig{Since: time.Now().Add(-time.Hour), Until: time.Now()}
		if _, err := source.ReadSpan(t.Context(), c, s, func([]event.Event) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("the reader's error: %v", err)
		}
		for _, status := range []int{403, 500} {
			s.fault = func(int, call) (*auth0.Answer, error) { return nil, serverError(status) }
			if status == 403 {
				s.fault = func(int, call) (*auth0.Answer, error) {
					return nil, &auth0.Error{Op: "fetch logs", Status: 403, Kind: auth0.Forbidden}
				}
			}
			if _, err := source.ReadSpan(t.Context(), c, s, func([]event.Event) error { return nil }); err == nil {
				t.Errorf("status %d is no error", status)
			}
		}
	})
}

// TestFindEvents looks for log_ids that are there and that are not.
func TestFindEvents(t *testing.T) {
	t.Parallel()
	for kind, shape := range map[string]func(*fakeAuth0){
		"real ids":          func(*fakeAuth0) {},
		"built id refused":  func(s *fakeAuth0) { s.knownOnly = true },
		"built id is empty": func(s *fakeAuth0) { s.fault = emptyOnUnknown(s) },
	} {
		for _, opaque := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s opaque %t", kind, opaque), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := new(fakeAuth0)
					history(s, 300, time.Minute, time.Minute, opaque)
					shape(s)
					all := s.ids()
					asked := []string{`"`, event.SyntheticPrefix + "00", all[1], all[2], all[2][:len(all[2])-1] + "x", all[150], all[299], strings.Repeat("9", 56)}
					slices.Sort(asked)
					var got []string
					err := source.FindEvents(t.Context(), s, slices.Values(asked), func(e event.Event) error {
						got = append(got, e.LogID)
						return nil
					})
					want := []string{all[1], all[2], all[150], all[299]}
					slices.Sort(want)
					if diff := cmp.Diff(want, got); diff != "" || err != nil {
						t.Errorf("found, %v (-want +got):\n%s", err, diff)
					}
				})
			})
		}
	}
}

// TestPaced spaces calls as the answers ask for.
func TestPaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeAuth0{pace: 3 * time.Second}
		api, began := source.Paced(s), time.Now()
		for range 5 {
			if _, err := api.Search(t.Context(), auth0.SearchQuery{PerPage: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 12*time.Second {
			t.Errorf("5 calls took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := api.Logs(ctx, "x", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that was given up: %v", err)
		}
	})
}
