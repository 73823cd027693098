package web

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Plain makes text fit for a terminal and for one line: what does not print,
// such as a line break, an escape that a terminal would obey or a change of the
// direction of writing, is shown as Go would write it, \x1b.
func Plain(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unprintable(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// unprintable reports whether a rune should not reach a terminal. Bytes that are
// no UTF-8 come as utf8.RuneError.
func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// PlainJSON makes JSON fit for a terminal: encoding/json escapes the control
// characters below the space and leaves others, and changes of the direction of
// writing, as they are. The JSON means the same afterwards.
func PlainJSON(b []byte) []byte {
	if !bytes.ContainsFunc(b, risky) {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case !risky(r):
			out = append(out, b[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}

// risky reports whether a rune of a JSON text, where it can only stand in a
// string, should not reach a terminal.
func risky(r rune) bool { return r >= 0x7f && r != utf8.RuneError && !unicode.IsPrint(r) }

// A PlainJSONWriter passes JSON on to another writer as PlainJSON makes it. Each
// write must hold whole characters.
type PlainJSONWriter struct{ W io.Writer }

// Write implements io.Writer.
func (p PlainJSONWriter) Write(b []byte) (int, error) {
	if _, err := p.W.Write(PlainJSON(b)); err != nil {
		return 0, err //nolint:wrapcheck // a writer passes on what its writer says
	}
	return len(b), nil
}
