package cli

import (
	"strings"
	"unicode"

	eastasian "golang.org/x/text/width"
)

// cells returns how many columns of a terminal a text takes: wide characters, such as
// those of Japanese, take two, and marks on others none. Colours that paint has put there
// take none.
func cells(s string) (n int) {
	for i := 0; i < len(s); {
		if skip := colourAt(s[i:]); skip > 0 {
			i += skip
			continue
		}
		r, size := rune(s[i]), 1
		if r >= 0x80 {
			r, size = firstRune(s[i:])
		}
		n += cellsOf(r)
		i += size
	}
	return n
}

// firstRune returns the first rune of a text and its length.
func firstRune(s string) (r rune, size int) {
	for i, x := range s {
		if i > 0 {
			return r, i
		}
		r = x
	}
	return r, len(s)
}

// cellsOf returns how many columns a rune takes.
func cellsOf(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch eastasian.LookupRune(r).Kind() {
	case eastasian.EastAsianWide, eastasian.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// colourAt returns the length of the colour at the beginning of a text, as paint writes
// it; 0 for none.
func colourAt(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	return strings.IndexByte(s, 'm') + 1
}

// pad fills a text with spaces up to a number of columns.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-cells(s)))
}

// clip cuts a line to a number of columns, with an ellipsis in place of the rest. Colours
// stay, and end where the line does.
func clip(s string, columns int) string {
	if cells(s) <= columns {
		return s
	}
	var b strings.Builder
	left, coloured := columns-1, false
	for i := 0; i < len(s); {
		if skip := colourAt(s[i:]); skip > 0 {
			b.WriteString(s[i : i+skip])
			coloured = s[i:i+skip] != "\x1b[0m"
			i += skip
			continue
		}
		r, size := firstRune(s[i:])
		if left -= cellsOf(r); left < 0 {
			break
		}
		b.WriteString(s[i : i+size])
		i += size
	}
	if columns > 0 {
		b.WriteString("…")
	}
	if coloured {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}
