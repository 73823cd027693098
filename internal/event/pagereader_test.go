package event_test

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
)

// readPages reads a stream in pages of a size into the short form of one.
func readPages(in io.Reader, size int) (out pageIn, pages int) {
	r := event.NewPageReader(in, start, size, 1<<20)
	for {
		p, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				out.Err = err
			}
			return out, pages
		}
		pages++
		for _, e := range p.Events {
			out.IDs = append(out.IDs, e.LogID+" "+string(e.Raw))
		}
		out.Unreadable = append(out.Unreadable, p.Unreadable...)
	}
}

// wholePage reads a body at once into the same form.
func wholePage(body string) pageIn {
	p, err := event.ParsePage([]byte(body), start)
	out := pageIn{Unreadable: p.Unreadable, Err: err}
	for _, e := range p.Events {
		out.IDs = append(out.IDs, e.LogID+" "+string(e.Raw))
	}
	return out
}

// bodies draws bodies of every form, whole and broken.
func bodies() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		`{"log_id":"a","type":"s"}`, `{"log_id":"b","x":"` + strings.Repeat("y", 300) + `"}`, `{"log_id":"e","data":{"log_id":"e","type":"f"}}`,
		`{"x":}`, `{"x":[1,]}`, `nul`, `null`, `"te]xt"`, `1.5`, `[{"log_id":"n"}]`, `{"x":"]}\"","y":tru}`, `{"x":"é\u00e9"}`, `{"x":`, `keep-alive`, `]`, `}`, `"`,
		`{"logs":[{"log_id":"l"},{"log_id":"m"}],"total":2}`, `{"logs":[{"log_id":"l"},{"x":}],"total":2}`, `{"start":0,"logs":[]}`,
	})
	return rapid.Custom(func(t *rapid.T) string {
		pieces := rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces")
		glue := rapid.SampledFrom([]string{",", "\n", ",\n  ", "\r\n", " "}).Draw(t, "glue")
		body := strings.Join(pieces, glue)
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			body = "[" + body + "]"
		case 1:
			body = `{"start":0,"logs":[` + body + `],"total":7}`
		case 2:
			body = "\xef\xbb\xbf" + body + "\n"
		}
		return body[:len(body)-rapid.SampledFrom([]int{0, 0, 0, 1, len(body) / 2}).Draw(t, "cut")%(len(body)+1)]
	})
}

func TestPageReaderReadsWhatParsePageReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body := bodies().Draw(t, "body")
		in := io.Reader(strings.NewReader(body))
		if rapid.Bool().Draw(t, "byte by byte") {
			in = iotest.OneByteReader(in)
		}
		got, _ := readPages(in, rapid.IntRange(1, 600).Draw(t, "size"))
		if diff := cmp.Diff(wholePage(body), got, sameError); diff != "" {
			t.Errorf("%q (-at once +in pages):\n%s", body, diff)
		}
	})
}

// Windows are at least 4 KiB long: bodies must be longer for their borders to
// fall anywhere within a record.
func TestPageReaderBordersFallAnywhere(t *testing.T) {
	t.Parallel()
	records := samples(t)
	for _, body := range []string{
		"[" + strings.Join(records, ",") + "]", strings.Join(records, "\n"), `{"logs":[` + strings.Join(records, ",\n") + `],"total":9}`,
		"[" + strings.Join(records, `,{"x":[tru,"`+strings.Repeat("x", 5000)+`"]},`) + "]",
	} {
		want := wholePage(body)
		for shift := range 100 {
			got, pages := readPages(strings.NewReader(strings.Repeat(" ", shift*41)+body), 6_000)
			if !reflect.DeepEqual(want, got) { // cmp would look at each of the bytes
				t.Fatalf("shifted by %d: other events or pieces than at once (%d and %d, want %d and %d)",
					shift*41, len(got.IDs), len(got.Unreadable), len(want.IDs), len(want.Unreadable))
			}
			if pages < len(body)/20_000 {
				t.Fatalf("%d bytes came in %d pages", len(body), pages)
			}
		}
	}
}

func TestPageReaderKeepsWhatCameBeforeAnError(t *testing.T) {
	t.Parallel()
	records := samples(t)[:12]
	body := "[" + strings.Join(records, ",") + "]"
	broken := errors.New("connection reset")
	got, _ := readPages(io.MultiReader(strings.NewReader(body[:len(body)-20]), iotest.ErrReader(broken)), 1000)
	if !errors.Is(got.Err, broken) || len(got.IDs) != len(records)-1 || len(got.Unreadable) != 0 {
		t.Errorf("%d events, %d refused, error %v; want %d, none and %v", len(got.IDs), len(got.Unreadable), got.Err, len(records)-1, broken)
	}
}

func TestPageReaderBoundsARecord(t *testing.T) {
	t.Parallel()
	endless := io.MultiReader(strings.NewReader(`[{"log_id":"a"},{"x":"`), iotest.DataErrReader(zeroes('y')))
	got, _ := readPages(endless, 1000)
	if !errors.Is(got.Err, event.ErrRecordTooLarge) || !slices.Equal(got.IDs, []string{`a {"log_id":"a"}`}) {
		t.Errorf("events %v, error %v; want a and %v", got.IDs, got.Err, event.ErrRecordTooLarge)
	}
}

// zeroes is an endless stream of one byte.
type zeroes byte

func (z zeroes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(z)
	}
	return len(b), nil
}

func TestUnreadableNamesItsLine(t *testing.T) {
	t.Parallel()
	a := `{"log_id":"a"}`
	for body, want := range map[string][]int{
		"nul\n" + a:                            nil, // it begins with neither a list nor a record
		a + "\nnul\r\n" + a + "\n\n{\"x\":}\n": {2, 5},
		"\xef\xbb\xbf\n[" + a + ",\n{\"x\":},\n" + a + ",\n7\n]":                 {3, 5},
		"{\"logs\":[\n" + a + ",\n\"text\"],\"total\":1}\nnul":                   {3, 4},
		"{\"start\":0,\n\"logs\":[\n{\"x\":},\n" + a + "\n],\n\"total\":}\n" + a: {3, 6, 6},
		a + "\n{\"x\":": {2},
	} {
		for _, size := range []int{1, 20, 1 << 20} {
			got, _ := readPages(strings.NewReader(body), size)
			var lines []int
			for _, u := range got.Unreadable {
				lines = append(lines, u.Line)
			}
			if !slices.Equal(lines, want) {
				t.Errorf("%q in pages of %d: refused on lines %v, want %v", body, size, lines, want)
			}
		}
	}
}

// A reader that stops behind any page, and another that goes on there, find what
// one finds that reads all of it.
func TestPageReaderGoesOnAtAnyPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body := bodies().Draw(t, "body")
		size := rapid.IntRange(1, 600).Draw(t, "size")
		want, _ := readPages(strings.NewReader(body), size)
		var got pageIn
		at := event.Place{Line: 1}
		for got.Err == nil {
			r := event.ResumePageReader(strings.NewReader(body[at.Offset:]), at, start, size, 1<<20)
			for range rapid.IntRange(1, 3).Draw(t, "pages") {
				p, err := r.Next()
				got.Err = err
				for _, e := range p.Events {
					got.IDs = append(got.IDs, e.LogID+" "+string(e.Raw))
				}
				got.Unreadable = append(got.Unreadable, p.Unreadable...)
			}
			at = r.Place()
		}
		if n := len(got.Unreadable); errors.Is(got.Err, io.EOF) {
			got.Err = nil
			if n > 0 && got.Unreadable[n-1].Reason == event.ErrTruncated.Error() {
				got.Err = event.ErrTruncated // told by the piece, which was the last page
			}
		}
		if diff := cmp.Diff(want, got, sameError); diff != "" {
			t.Errorf("%q (-in one go +with stops):\n%s", body, diff)
		}
	})
}

// A body that was cut, and says so, is no whole one, wherever the cut is: behind a
// record there is nothing else to see it by.
func TestPageReaderTellsOfAStreamThatWasCut(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{\"log_id\":\"a\"}\n", `{"log_id":"a"}`, `[{"log_id":"a"}]`, `{"log_id":"a"}` + "\n{", `[{"log_id":"a"},`} {
		got, _ := readPages(io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)), 1000)
		if !errors.Is(got.Err, io.ErrUnexpectedEOF) || len(got.Unreadable) > 0 {
			t.Errorf("%q: error %v, %d refused; want %v and none", body, got.Err, len(got.Unreadable), io.ErrUnexpectedEOF)
		}
	}
}
