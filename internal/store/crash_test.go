package store_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// The environment of a child process: what to do, where, and the number of the
// first event.
const (
	childRole  = "GAPLESS_STORE_CHILD"
	childDir   = "GAPLESS_STORE_CHILD_DIR"
	childFirst = "GAPLESS_STORE_CHILD_FIRST"
)

// childMain plays the part of a child process and does not return then.
func childMain() {
	var err error
	switch os.Getenv(childRole) {
	case "":
		return
	case "hold":
		err = childHold()
	case "work":
		err = childWork()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child starts a child process with pipes to its input and output.
func child(t *testing.T, role, dir string, first int) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir, childFirst+"="+strconv.Itoa(first))
	cmd.Stderr = os.Stderr
	if in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewScanner(pipe)
}

// childHold keeps a store open until its input ends.
func childHold() error {
	s, err := store.Open(context.Background(), store.Config{Dir: os.Getenv(childDir)})
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, s.Close())
}

func TestOneProcessPerDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, in, out := child(t, "hold", dir, 0)
	if !out.Scan() {
		t.Fatal("the child did not open the store")
	}
	_, err := store.Open(t.Context(), store.Config{Dir: dir})
	e := pipeline.Classify(err)
	if !errors.Is(err, store.ErrLocked) || e.Class != pipeline.Misconfigured || e.Hint == "" {
		t.Fatalf("open beside the child: error %v of class %v, want ErrLocked", err, e.Class)
	}
	for _, part := range []string{"process " + strconv.Itoa(cmd.Process.Pid) + " ", "running since 20", dir} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
	r, err := store.OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatalf("read beside the child: %v", err)
	}
	if _, err := r.Status(t.Context()); err != nil {
		t.Errorf("read status beside the child: %v", err)
	}
	if err := errors.Join(r.Close(), in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	openStore(t, store.Config{Dir: dir})
}

// perPage is the size of a child's pages; their numbers have no hole.
const perPage = 7

// childWork appends and settles until it is killed, and tells on its output
// what it is about to do and what was acknowledged.
func childWork() error {
	ctx := context.Background()
	first, err := strconv.Atoi(os.Getenv(childFirst))
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Config{Dir: os.Getenv(childDir)})
	if err != nil {
		return err
	}
	b, err := s.Buffer(ctx, "dev-tenant")
	if err != nil {
		return err
	}
	book, err := b.KeepLedger(ctx, "")
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	go func() { failed <- childSeal(ctx, book) }()
	go func() {
		for n := first; ; n += perPage {
			if _, err := b.Append(ctx, "poll", newIntake(n, n+perPage, 800)); err != nil {
				failed <- err
				return
			}
			fmt.Println("appended", n+perPage-1)
		}
	}()
	go func() { failed <- childSettle(ctx, b) }()
	return <-failed
}

// childSettle settles batches; of each one it retries the last event.
func childSettle(ctx context.Context, b *store.Buffer) error {
	l := limits()
	l.MaxEvents, l.Linger = 10, time.Millisecond
	for {
		batch, err := b.Next(ctx, l)
		if err != nil {
			return err
		}
		var r pipeline.Receipt
		if n := len(batch.Events); n > 1 {
			r.Retry = []int{n - 1}
			r.Rejected = []pipeline.Rejection{{Index: 0, Reason: "too_large"}}
		}
		for _, e := range batch.Events { // some of which are another day's, and come late there
			h := sha256.Sum256([]byte(e.LogID))
			r.Prints = append(r.Prints, pipeline.Print{At: e.Date.Add(-24 * time.Hour * time.Duration(h[0]%3)).UnixMilli(), Hash: h})
		}
		var ids strings.Builder
		for i, e := range batch.Events {
			if i < len(batch.Events)-len(r.Retry) {
				ids.WriteString(" " + e.LogID)
			}
		}
		fmt.Println("settling" + ids.String())
		if err := b.Settle(ctx, batch, r); err != nil {
			return err
		}
		fmt.Println("settled" + ids.String())
	}
}

// childSeal seals hours without a rest.
func childSeal(ctx context.Context, book *store.Ledger) error {
	for now := start.Add(-48 * time.Hour); ; now = now.Add(5 * time.Minute) {
		k := ledger.NewKeeper(ledger.Config{Tenant: "dev-tenant", Destination: "cloudwatch", Book: book})
		if err := k.Pass(ctx, now); err != nil {
			return err
		}
	}
}

// A tally is what the children have told.
type tally struct {
	appended int             // last event acknowledged; -1 for none
	begun    map[string]bool // settling was begun
	settled  map[string]bool // and acknowledged
}

// note reads a line.
func (l *tally) note(t *testing.T, line string) {
	t.Helper()
	fields := strings.Fields(line)
	switch fields[0] {
	case "appended":
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return // cut off by the kill
		}
		l.appended = n
	case "settling":
		for _, id := range fields[1:] {
			l.begun[id] = true
		}
	case "settled":
		for _, id := range fields[1:] {
			l.settled[id] = true
		}
	default:
		t.Fatalf("the child said %q", line)
	}
}

func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	rounds := 15
	if testing.Short() {
		rounds = 4
	}
	dir := t.TempDir()
	l := &tally{appended: -1, begun: make(map[string]bool), settled: make(map[string]bool)}
	first := 0
	for range rounds {
		cmd, in, out := child(t, "work", dir, first)
		for lines := rand.IntN(40); lines > 0 && out.Scan(); lines-- {
			l.note(t, out.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for out.Scan() { // what it said before it died
			l.note(t, out.Text())
		}
		_ = in.Close()
		_ = cmd.Wait() // killed, as it must be
		first = l.check(t, dir)
	}
	if len(l.settled) == 0 {
		t.Error("no child came so far as to settle")
	}
}

// check opens the store and compares it with the tally. It returns the number
// of the first event that was not stored.
func (l *tally) check(t *testing.T, dir string) (next int) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatalf("open after the kill: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := openBuffer(t, s, "dev-tenant")
	cursor, err := b.Cursor(t.Context(), "poll")
	if err != nil {
		t.Fatal(err)
	}
	if cursor != "" {
		last, err := strconv.Atoi(string(cursor))
		if err != nil {
			t.Fatal(err)
		}
		next = last + 1
	}
	if next <= l.appended {
		t.Fatalf("the cursor stands at %q, but %d was acknowledged", cursor, l.appended)
	}
	st := statusOf(t, s.Reader)
	buffered := l.takeAll(t, b, st.BufferedEvents)
	for n := range next {
		if id := newEvent(n, 0).LogID; !buffered[id] && !l.begun[id] {
			t.Fatalf("event %d is lost: the cursor stands at %q", n, cursor)
		}
	}
	out := countOf(st, store.CountDelivered) + countOf(st, store.CountRejected)
	if stored := countOf(st, store.CountStored); stored != int64(next) || stored != st.BufferedEvents+out {
		t.Fatalf("%d stored up to cursor %q, %d buffered, %d gone", stored, cursor, st.BufferedEvents, out)
	}
	checkLedger(t, s, countOf(st, store.CountDelivered))
	if n := countOf(st, store.CountRejected); n != st.DeadLetters {
		t.Fatalf("%d dead letters of %d rejected events", st.DeadLetters, n)
	}
	return next
}

// checkLedger checks that the ledger has each event that was delivered, once.
func checkLedger(t *testing.T, s *store.Store, delivered int64) {
	t.Helper()
	r := ledger.Record{Tenant: "dev-tenant", Destination: "cloudwatch"}
	if err := s.LedgerEntries(t.Context(), "dev-tenant", "", func(line []byte) error { r.Add(line); return nil }); err != nil {
		t.Fatal(err)
	}
	c := r.Check("", true)
	n := store.Number(t, s.Reader, "SELECT coalesce(sum(events), 0) FROM ledger_leaves")
	for _, e := range c.Entries {
		n += e.Count
	}
	if len(c.Problems) > 0 || n != delivered {
		t.Fatalf("%d events delivered and %d in the ledger: %+v", delivered, n, c.Problems)
	}
}

// takeAll takes what is buffered, one by one, and gives it back. What a child was
// about to settle may have been sent, and must come in doubt.
func (l *tally) takeAll(t *testing.T, b *store.Buffer, n int64) (buffered map[string]bool) {
	t.Helper()
	buffered = make(map[string]bool)
	one := limits()
	one.MaxEvents = 1
	var batches []pipeline.Batch
	for int64(len(buffered)) < n {
		batch := take(t, b, one)
		batches = append(batches, batch)
		id := batch.Events[0].LogID
		if buffered[id] || l.settled[id] {
			t.Fatalf("event %s comes again", id)
		}
		if l.begun[id] && batch.Doubt.IsZero() {
			t.Fatalf("event %s may have been sent and is not in doubt", id)
		}
		buffered[id] = true
	}
	for _, batch := range batches {
		mustSettle(t, b, batch, pipeline.Receipt{Retry: []int{0}, Doubt: batch.Doubt})
	}
	return buffered
}
