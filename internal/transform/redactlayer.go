package transform

import (
	"bytes"
	"unicode/utf8"
)

// maxLayers bounds how often a text is decoded: a URL within a URL within a URL.
const maxLayers = 4

// layers calls fn with a text, and with what it says once the percent-encoding of
// URLs and the \u escapes of JSON in it are decoded, as often as they stand one in
// the other. n is how often; see origins.
func layers(text []byte, fn func(text []byte, n int)) {
	fn(text, 0)
	for n := range maxLayers {
		decoded, _, changed := decodeLayer(text, false)
		if !changed {
			return
		}
		text = decoded
		fn(text, n+1)
	}
}

// origins returns, for each place of a text that was decoded n times, and for its
// end, the place in the text itself.
func origins(text []byte, n int) (origin []int) {
	for range n {
		decoded, at, _ := decodeLayer(text, true)
		if origin != nil {
			for i := range at {
				at[i] = origin[at[i]]
			}
		}
		text, origin = decoded, at
	}
	return origin
}

// deepest returns the innermost layer of a text.
func deepest(text []byte) []byte {
	for range maxLayers {
		decoded, _, changed := decodeLayer(text, false)
		if !changed {
			break
		}
		text = decoded
	}
	return text
}

// decodeLayer decodes one layer; at, if it is wanted, holds where each byte, and the
// end, comes from.
func decodeLayer(text []byte, wanted bool) (out []byte, at []int, changed bool) {
	if bytes.IndexByte(text, '%') < 0 && bytes.IndexByte(text, '\\') < 0 {
		return text, nil, false
	}
	out = make([]byte, 0, len(text))
	if wanted {
		at = make([]int, 0, len(text)+1)
	}
	for i := 0; i < len(text); {
		before := len(out)
		n := 1
		switch text[i] {
		case '%':
			out, n = decodePercent(out, text[i:])
		case '\\':
			out, n = decodeEscape(out, text[i:])
		default:
			out = append(out, text[i])
		}
		changed = changed || n > 1
		for range len(out) - before {
			if wanted {
				at = append(at, i)
			}
		}
		i += n
	}
	if wanted {
		at = append(at, len(text))
	}
	return out, at, changed
}

// decodePercent decodes what begins with a percent sign, however often the sign
// itself is encoded (%40, %2540, %252540), and returns its length.
func decodePercent(out, text []byte) ([]byte, int) {
	n := 1
	for bytes.HasPrefix(text[n:], []byte("25")) {
		n += 2
	}
	if n+1 < len(text) && unhex(text[n]) >= 0 && unhex(text[n+1]) >= 0 {
		return append(out, unhexByte(text[n:])), n + 2
	}
	return append(out, '%'), n
}

// decodeEscape decodes what begins with a backslash, however many there are, as in
// JSON within JSON that is cut off, and returns its length.
func decodeEscape(out, text []byte) ([]byte, int) {
	n := 1
	for n < len(text) && text[n] == '\\' {
		n++
	}
	if n < len(text) && (text[n] == 'u' || text[n] == '"' || text[n] == '/') {
		if r, size := unescapeOne(text[n-1:]); size > 0 {
			return utf8.AppendRune(out, r), n - 1 + size
		}
	}
	return append(out, '\\'), n
}

// percent encodes a text for a URL, but for what is harmless there.
func percent(text []byte) []byte {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(text)+8)
	for _, c := range text {
		if isAlnum(c) || bytes.IndexByte([]byte("-._~*:"), c) >= 0 {
			out = append(out, c)
			continue
		}
		out = append(out, '%', digits[c>>4], digits[c&15])
	}
	return out
}

// isAlnum reports whether c is a letter or a digit of ASCII.
func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
