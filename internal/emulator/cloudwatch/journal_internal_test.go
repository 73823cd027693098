package cloudwatch

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fill makes one change of every kind.
func fill(t *testing.T, s *store) {
	t.Helper()
	now := nowMillis()
	steps := []error{
		s.createGroup(&logGroup{Name: "g", Created: 1, Class: classStandard, Tags: map[string]string{"a": "b"}}),
		s.createGroup(&logGroup{Name: "gone", Created: 1, Class: classStandard}),
		s.createStream("g", "s", 2),
		s.createStream("g", "gone", 2),
		put(s, "s", inputEvent{now, "one"}, inputEvent{now + 5, "three"}),
		put(s, "s", inputEvent{now + 1, "two"}),
		put(s, "gone", inputEvent{now, "x"}),
		s.changeGroup("g", func(g *logGroup) error { g.Retention = 7; return nil }),
		s.deleteStream("g", "gone"),
		s.deleteGroup("gone"),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
}

func put(s *store, stream string, events ...inputEvent) error {
	_, _, err := s.put("g", stream, nowMillis(), func(*logGroup) ([]inputEvent, error) { return events, nil })
	return err
}

// dump writes down what a store holds.
func dump(s *store) string {
	var b strings.Builder
	for _, name := range sortedNames(s.groups, "") {
		g := s.groups[name]
		fmt.Fprintln(&b, g.Name, g.Created, g.Retention, g.Class, g.Tags, g.bytes)
		for _, name := range sortedNames(g.streams, "") {
			st := g.streams[name]
			fmt.Fprintln(&b, " ", st.name, st.created, st.events, st.lastIngest, st.lastSeq)
		}
	}
	return b.String()
}

func open(t *testing.T, dir string) *store {
	t.Helper()
	s := newStore()
	j, _, err := openJournal(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	s.journal = j
	return s
}

func TestJournalComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s)
	want := dump(s)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = open(t, dir)
		if diff := cmp.Diff(want, dump(s)); diff != "" {
			t.Error(diff)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.createStream("g", "late", 1); err == nil {
		t.Error("a closed journal took a change")
	}
}

// Wherever a crash cuts the file, what stands before the cut comes back and what
// is written later does too.
func TestJournalCutAnywhere(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	s := open(t, whole)
	fill(t, s)
	want := dump(s)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(whole, journalName))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range data {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, journalName), data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		if dump(s) == want {
			t.Fatalf("cut at %d: nothing is missing", cut)
		}
		if err := s.createGroup(&logGroup{Name: "after", Class: classStandard}); err != nil {
			t.Fatal(err)
		}
		before := dump(s)
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
		if diff := cmp.Diff(before, dump(s)); diff != "" {
			t.Errorf("cut at %d: %s", cut, diff)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalShrinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s)
	want := dump(s)
	large := inputEvent{nowMillis(), strings.Repeat("x", 1<<20)}
	for i := range 3 {
		name := strconv.Itoa(i)
		if err := errors.Join(s.createStream("g", name, 1), put(s, name, large), s.deleteStream("g", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if diff := cmp.Diff(want, dump(s)); diff != "" {
		t.Error(diff)
	}
	if s.journal.size > 10_000 {
		t.Errorf("still %d bytes", s.journal.size)
	}
	if err := errors.Join(put(s, "s", inputEvent{nowMillis(), "behind"}), s.close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if got := s.groups["g"].streams["s"].events; len(got) != 4 {
		t.Errorf("%d events", len(got))
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

func TestJournalRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, _, err := openJournal(dir, newStore()); !errors.Is(err, errDataDirInUse) {
		t.Errorf("a second process: %v", err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, journalName), []byte("something else that is no journal"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(dir, newStore()); err == nil {
		t.Error("a strange file was taken")
	}
}

func TestTornRecordIsLogged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, journalName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	server, err := New(Options{DataDir: dir, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "torn record") {
		t.Errorf("log: %s", out.String())
	}
}
