package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/ledger"
)

// newKey makes a key.
func newKey(tb testing.TB) *ledger.Key {
	tb.Helper()
	k, _, err := ledger.Generate()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// at is an hour of the tests.
func at(n int) time.Time { return time.Date(2026, 11, 20, n, 0, 0, 0, time.UTC) }

// chain makes a chain: a start, then quiet hours, each sealed with the key of its place.
func chain(id string, keys ...*ledger.Key) (list []ledger.Entry) {
	e := ledger.Entry{Kind: ledger.Start, Note: "test"}
	for i, k := range keys {
		if i > 0 {
			e = ledger.Entry{Kind: ledger.Quiet, From: at(i), Until: at(i + 1), Digest: fmt.Sprintf("%x", sha256.Sum256(nil)), Previous: list[i-1].Hash}
		}
		e.Tenant, e.Destination, e.Chain, e.Seq, e.SealedAt = "acme", "cloudwatch", id, int64(i), at(i+2)
		e.Seal(k)
		list = append(list, e)
	}
	return list
}

// check checks entries.
func check(head string, keys []ledger.PublicKey, list ...ledger.Entry) ledger.Checked {
	r := ledger.Record{Tenant: "acme", Destination: "cloudwatch", Keys: keys}
	for i := range list {
		r.Add(list[i].Line())
	}
	return r.Check(head, true)
}

// faults lists the faults with the entries that they are of.
func faults(c *ledger.Checked) (list []string) {
	for _, p := range c.Problems {
		list = append(list, fmt.Sprint(p.Fault, " ", p.Seq))
	}
	slices.Sort(list)
	return list
}

// TestChainTellsOfEveryHarm cuts, reorders, edits and forges a chain.
func TestChainTellsOfEveryHarm(t *testing.T) {
	t.Parallel()
	k, other := newKey(t), newKey(t)
	whole := func() []ledger.Entry { return chain("a", k, k, k, k, k) }
	later := func() []ledger.Entry { // a second chain
		list := chain("b", k, k)
		list[0].Continues = &ledger.Head{}
		return list
	}
	edited := func(reseal *ledger.Key, edit func(*ledger.Entry)) []ledger.Entry {
		list := whole()
		edit(&list[2])
		if reseal != nil {
			list[2].Seal(reseal)
		}
		return list
	}
	signature := func(list []ledger.Entry, sig string) []ledger.Entry {
		list[2].Signature = sig
		return list
	}
	for name, tt := range map[string]struct {
		list []ledger.Entry
		want []string
	}{
		"whole":          {whole(), nil},
		"twice":          {append(whole(), whole()[1:3]...), nil},
		"out of order":   {slices.Concat(whole()[2:], whole()[:2]), nil},
		"cut inside":     {slices.Delete(whole(), 2, 4), []string{"missing 2"}},
		"cut before":     {whole()[2:], []string{"missing 0"}},
		"edited":         {edited(nil, func(e *ledger.Entry) { e.Count = 7 }), []string{"altered 2"}},
		"edited, sealed": {edited(k, func(e *ledger.Entry) { e.Note = "x" }), []string{"broken 3"}},
		"swapped":        {edited(k, func(e *ledger.Entry) { e.From, e.Until = at(9), at(10) }), []string{"broken 2", "broken 3", "broken 3"}},
		"forged":         {edited(other, func(*ledger.Entry) {}), []string{"broken 3", "signature 2"}},
		"unsigned":       {edited(nil, func(e *ledger.Entry) { e.Seal(nil) }), []string{"broken 3", "signature 2"}},
		"no signature":   {signature(whole(), ""), []string{"signature 2"}},
		"a wrong one":    {signature(whole(), whole()[1].Signature), []string{"signature 2"}},
		"forked":         {append(whole(), edited(k, func(e *ledger.Entry) { e.Note = "x" })[2]), []string{"forked 2"}},
		"not linked":     {append(whole(), chain("b", k)...), []string{"unlinked 0"}},
		"wrongly linked": {append(whole(), sealed(later()[:1], k)...), []string{"unlinked 0"}},
		"head gone":      {whole()[:3], []string{"head 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := ""
			if name == "head gone" {
				head = whole()[4].Hash
			}
			c := check(head, []ledger.PublicKey{k.Public()}, tt.list...)
			if diff := cmp.Diff(tt.want, faults(&c)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", c.Problems, diff)
			}
		})
	}
	if c := check(strings.ToUpper(whole()[4].Hash), nil, whole()...); len(c.Problems) > 0 {
		t.Errorf("a head that is there: %+v", c.Problems)
	}
	if c := check("", []ledger.PublicKey{other.Public(), k.Public()}, chain("a", k, other, k)...); len(c.Problems) > 0 || c.Signed != 3 {
		t.Errorf("after a rotation: %+v", c)
	}
}

// sealed seals entries again.
func sealed(list []ledger.Entry, k *ledger.Key) []ledger.Entry {
	for i := range list {
		list[i].Seal(k)
	}
	return list
}

// TestLinesAreCanonical takes what is no entry, and what says more than an entry.
func TestLinesAreCanonical(t *testing.T) {
	t.Parallel()
	good := string(chain("a", newKey(t))[0].Line())
	for name, tt := range map[string]struct {
		line string
		want error
	}{
		"as it is":    {good, nil},
		"break":       {good + "\n", nil},
		"nothing":     {"", ledger.ErrForm},
		"text":        {"hello", ledger.ErrForm},
		"another one": {strings.Replace(good, `{"chain"`, `{"Chain":"b","chain"`, 1), ledger.ErrForm},
		"spaces":      {strings.Replace(good, `,"`, `, "`, 1), ledger.ErrForm},
		"newer":       {strings.Replace(good, `"version":1`, `"version":2`, 1), ledger.ErrVersion},
		"null":        {"null", ledger.ErrForm},
	} {
		if _, err := ledger.Parse([]byte(tt.line)); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

// python runs a script, or skips the test loudly.
func python(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT RUN: python3 is not there; the canonical form was not checked from outside")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// TestFormIsThatOfPython holds the canonical form against json.dumps.
func TestFormIsThatOfPython(t *testing.T) {
	t.Parallel()
	var lines, texts bytes.Buffer
	enc := json.NewEncoder(&texts)
	for i, text := range []string{"plain", `quote " and \`, "\x00\x07\b\f\n\r\t\x1f\x7f", "ü 日本 \u2028 😀", "</script>&", "\ufffd"} {
		e := ledger.Entry{
			Kind: ledger.Late, Tenant: text, Destination: "d", Chain: "c", Seq: int64(i), SealedAt: at(1), From: at(0), Until: at(1), Count: 1, FirstID: text, LastID: text,
			FirstAt: -5, LastAt: 1 << 50, Places: [][2]string{{text, "s"}}, Leaves: []ledger.Leaf{{ID: text, At: -5}},
		}
		e.Seal(nil)
		lines.Write(append(e.Line(), '\n'))
		if err := enc.Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := python(t, "-c", `
import json, sys, hashlib
for line in open(sys.argv[1], encoding="utf-8"):
    e = json.loads(line)
    assert json.dumps(e, sort_keys=True, separators=(",", ":")) == line.rstrip("\n"), line
    h = e.pop("hash")
    assert hashlib.sha256(json.dumps(e, sort_keys=True, separators=(",", ":")).encode()).hexdigest() == h
print("same")`, file)
	if err != nil || out != "same\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAuditScript runs the script of docs/audit.md on a ledger and an hour, whole and
// harmed.
func TestAuditScript(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("../../docs/audit-check.py")
	if err != nil {
		t.Fatal(err)
	}
	message := func(id string) string { return `{"log_id":"` + id + `","description":"für ` + id + `"}` }
	var leaves []ledger.Leaf
	type event struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	var events []event
	for _, id := range []string{"b", "a", "late", ""} {
		m := message(id)
		if id == "" {
			m = "no event"
		}
		l, _ := ledger.LeafOf(at(2), []byte(m))
		leaves = append(leaves, l)
		events = append(events, event{l.At, m})
	}
	dir := t.TempDir()
	cases := map[string]struct {
		edit   func(lines []string) []string
		change func([]event) []event
		want   string
	}{
		"whole":   {nil, nil, "the hour matches: 4 events"},
		"changed": {nil, func(e []event) []event { e[0].Message += " "; return e }, "does not match"},
		"late":    {nil, func(e []event) []event { return slices.Delete(e, 2, 3) }, "missing or changed: late"},
		"cut":     {func(l []string) []string { return slices.Delete(l, 1, 2) }, nil, "broken: entry 2"},
		"edited":  {func(l []string) []string { l[1] = strings.Replace(l[1], `"count":3`, `"count":2`, 1); return l }, nil, "altered: entry 1"},
	}
	var names []string
	for name, tt := range cases {
		book := &memory{leaves: []ledger.Leaf{leaves[0], leaves[1], leaves[3]}}
		book.seal(t)
		book.leaves = leaves[2:3]
		book.seal(t)
		var lines []string
		for _, e := range book.entries {
			lines = append(lines, string(e.Line()))
		}
		there := slices.Clone(events)
		if tt.edit != nil {
			lines = tt.edit(lines)
		}
		if tt.change != nil {
			there = tt.change(there)
		}
		text, err := json.Marshal(map[string]any{"events": there})
		if err != nil {
			t.Fatal(err)
		}
		for end, content := range map[string]string{".ledger": strings.Join(lines, "\n"), ".events": string(text)} {
			if err := os.WriteFile(filepath.Join(dir, name+end), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		names = append(names, filepath.Join(dir, name))
	}
	out, err := python(t, append([]string{"-c", `
import runpy, sys
script, names = sys.argv[1], sys.argv[2:]
for name in names: # one process for all: it takes longer to begin than to check
    sys.argv = [script, name + ".ledger", name + ".events", "2026-11-20T02:00:00Z"]
    try:
        runpy.run_path(script)
    except SystemExit as e:
        print("exit", e)
    print("end of", name)`, script}, names...)...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	parts := strings.Split(out, "end of ")
	for i, name := range names {
		tt := cases[filepath.Base(name)]
		if i >= len(parts) || !strings.Contains(parts[i], tt.want) || strings.Contains(parts[i], "exit") != (filepath.Base(name) != "whole") {
			t.Errorf("%s: want %q of\n%s", name, tt.want, out)
		}
	}
}

// TestSignatureIsThatOfOpenSSL checks a signature with openssl, as docs/audit.md says.
func TestSignatureIsThatOfOpenSSL(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT RUN: openssl is not there; the signature was not checked from outside")
	}
	e := chain("a", newKey(t))[0]
	k := newKey(t)
	e.Seal(k)
	public, err := k.Public().PEM()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"public.pem": public, "signature": sig, "signed": []byte("gapless ledger 1 " + e.Hash + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", "signed", "-sigfile", "signature")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	k, pem, err := ledger.Generate()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.Public().PEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ledger.ParseKey(string(pem))
	if err != nil || again.ID != k.ID || len(k.ID) != 16 {
		t.Errorf("%v: %q, want %q", err, again.ID, k.ID)
	}
	for _, text := range []string{string(public), base64.StdEncoding.EncodeToString(k.Public())} {
		if p, err := ledger.ParsePublicKey(text + "\n"); err != nil || p.ID() != k.ID {
			t.Errorf("%v: %q", err, text)
		}
	}
	seed := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	if s, err := ledger.ParseKey(seed); err != nil || s.ID == k.ID {
		t.Errorf("a seed: %v", err)
	}
	for _, text := range []string{"", "x", string(public), seed[:20], "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := ledger.ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// TestLeavesArePacked packs leaves and unpacks them.
func TestLeavesArePacked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var packed []byte
		var want, got []ledger.Leaf
		for range rapid.IntRange(0, 5).Draw(rt, "leaves") {
			l := ledger.Leaf{ID: rapid.String().Draw(rt, "id"), At: rapid.Int64().Draw(rt, "at")}
			copy(l.Hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "hash"))
			want, packed = append(want, l), l.Pack(packed)
		}
		err := ledger.Unpack(packed, func(l ledger.Leaf) error { got = append(got, l); return nil })
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			rt.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if cut := rapid.IntRange(0, len(packed)).Draw(rt, "cut"); cut < len(packed) {
			n := 0
			if err := ledger.Unpack(packed[:cut], func(ledger.Leaf) error { n++; return nil }); err == nil && n == len(want) {
				rt.Error("cut off, and all there")
			}
		}
	})
}
