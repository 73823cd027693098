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
