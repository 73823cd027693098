package pipelinetest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	pipelinetest.TestBuffer(t, func(*testing.T) pipeline.Buffer { return pipelinetest.NewMemory(0, 0) })
}

// entry makes an entry of a given id and size.
func entry(id string, size int) pipeline.Entry {
	return pipeline.Entry{Event: event.Event{LogID: id, Date: time.Unix(0, 0).UTC(), Raw: make([]byte, size)}}
}

func TestMemoryIsFull(t *testing.T) {
	t.Parallel()
	m := pipelinetest.NewMemory(100, 0)
	for i, c := range []struct {
		in   pipeline.Intake
		full bool
	}{
		{in: pipeline.Intake{Entries: []pipeline.Entry{entry("a", 60)}}},
		{in: pipeline.Intake{Entries: []pipeline.Entry{entry("b", 41)}, Cursor: "x"}, full: true},
		{in: pipeline.Intake{Entries: []pipeline.Entry{entry("a", 60)}}},
		{in: pipeline.Intake{Cursor: "y"}},
		{in: pipeline.Intake{Entries: []pipeline.Entry{entry("b", 40)}}},
	} {
		if _, err := m.Append(t.Context(), "poll", c.in); errors.Is(err, pipeline.ErrBufferFull) != c.full {
			t.Errorf("append %d: error %v, want full %t", i, err, c.full)
		}
	}
	if got, _ := m.Cursor(t.Context(), "poll"); got != "y" {
		t.Errorf("cursor %q, want y", got)
	}
	if got := m.Len(); got != 2 {
		t.Errorf("%d events are held, want 2", got)
	}
}

func TestMemoryForgetsAfterItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := pipelinetest.NewMemory(0, time.Hour)
		for _, want := range []int{1, 0} {
			done, err := m.Append(t.Context(), "webhook", pipeline.Intake{Entries: []pipeline.Entry{entry("a", 1)}})
			if err != nil || done.Stored != want {
				t.Fatalf("append: got %+v and error %v, want %d stored", done, err, want)
			}
			<-time.After(time.Hour) // the bubble's time; the event is still here
		}
		b, err := m.Next(t.Context(), pipeline.Limits{MaxEvents: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Settle(t.Context(), b, pipeline.Receipt{}); err != nil {
			t.Fatal(err)
		}
		if done, err := m.Append(t.Context(), "webhook", pipeline.Intake{Entries: []pipeline.Entry{entry("a", 1)}}); err != nil || done.Stored != 1 {
			t.Errorf("append after the window: got %+v and error %v, want 1 stored", done, err)
		}
	})
}

func TestMemoryShowsWhatItKeeps(t *testing.T) {
	t.Parallel()
	m := pipelinetest.NewMemory(0, 0)
	in := pipeline.Intake{
		Entries:    []pipeline.Entry{entry("a", 1), entry("b", 2)},
		Unreadable: []event.Unreadable{{Raw: []byte("x"), Reason: "not valid JSON"}},
		Skipped:    map[string]int{"filter": 2},
		Gap:        &event.Gap{FromID: "1", ToID: "2"},
	}
	if _, err := m.Append(t.Context(), "poll", in); err != nil {
		t.Fatal(err)
	}
	b, err := m.Next(t.Context(), pipeline.Limits{MaxEvents: 2, MaxBytes: 3})
	if err != nil {
		t.Fatal(err)
	}
	r := pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 1, Reason: "too_large"}}}
	if err := m.Settle(t.Context(), b, r); err != nil {
		t.Fatal(err)
	}
	want := []pipelinetest.DeadLetter{{Reason: "unreadable", Raw: []byte("x")}, {LogID: "b", Reason: "too_large", Raw: []byte{0, 0}}}
	if diff := cmp.Diff(want, m.DeadLetters()); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]event.Gap{*in.Gap}, m.Gaps()); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(in.Skipped, m.Skipped()); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}
