package transform

import (
	"bytes"
	"unicode/utf8"
)

// maxLayers bounds how often a text is decoded: a URL within a URL within a URL.
const maxLayers = 4

// layers calls fn with a text, and with what it says once the percent-encoding of
// URLs and the \u escapes of JSON in it are decoded, as often as they stand one in
// the other. origin gives, for each place of the decoded text and its end, the place
// in the text; nil stands for the same.
func layers(text []byte, fn func(text []byte, origin []int)) {
	fn(text, nil)
	var origin []int
	for range maxLayers {
		decoded, at, changed := decodeLayer(text)
		if !changed {
			return
		}
		if origin != nil {
			for i := range at {
				at[i] = origin[at[i]]
			}
		}
		text, origin = decoded, at
		fn(text, origin)
	}
}

// deepest returns the innermost layer of a text.
func deepest(text []byte) []byte {
	for range maxLayers {
		decoded, _, changed := decodeLayer(text)
		if !changed {
			break
		}
		text = decoded
	}
	return text
}

// decodeLayer decodes one layer; at holds where each byte, and the end, comes from.
func decodeLayer(text []byte) (out []byte, at []int, changed bool) {
	if bytes.IndexByte(text, '%') < 0 && bytes.IndexByte(text, '\\') < 0 {
		return text, nil, false
	}
	out, at = make([]byte, 0, len(text)), make([]int, 0, len(text)+1)
	for i := 0; i < len(text); {
		before := len(out)
		n := 1
		switch {
		case text[i] == '%' && i+2 < len(text) && unhex(text[i+1]) >= 0 && unhex(text[i+2]) >= 0:
			out = append(out, unhexByte(text[i+1:]))
			n = 3
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == 'u' || text[i+1] == '"' || text[i+1] == '/' || text[i+1] == '\\'):
			r, size := unescapeOne(text[i:])
			if size == 0 {
				out = append(out, text[i])
				break
			}
			out, n = utf8.AppendRune(out, r), size
		default:
			out = append(out, text[i])
		}
		changed = changed || n > 1
		for range len(out) - before {
			at = append(at, i)
		}
		i += n
	}
	return out, append(at, len(text)), changed
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
