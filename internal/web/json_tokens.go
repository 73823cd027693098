package web

import (
	"strings"
	"unicode/utf8"
)

// A jsonToken is a piece of JSON with the class that it is coloured by: "k" for a key, "s"
// a string, "n" a number, "l" true, false or null, and "" for what is between.
type jsonToken struct {
	Class, Text string
}

// jsonTokens cuts JSON into pieces. Put together they are the text again, whatever it is:
// of what is no JSON, some piece may have a wrong colour.
func jsonTokens(b []byte) []jsonToken {
	var tokens []jsonToken
	add := func(class string, text []byte) {
		if last := len(tokens) - 1; last >= 0 && tokens[last].Class == class && class == "" {
			tokens[last].Text += string(text)
			return
		}
		tokens = append(tokens, jsonToken{class, string(text)})
	}
	for len(b) > 0 {
		class, n := "", 1
		switch c := b[0]; {
		case c == '"':
			n = quoted(b)
			class = "s"
			if isKey(b[n:]) {
				class = "k"
			}
		case c == '-' || c >= '0' && c <= '9':
			class, n = "n", run(b, "+-.0123456789eE")
		case c >= 'a' && c <= 'z':
			class, n = "l", run(b, "abcdefghijklmnopqrstuvwxyz")
		case c >= utf8.RuneSelf:
			_, n = utf8.DecodeRune(b)
		}
		add(class, b[:n])
		b = b[n:]
	}
	return tokens
}

// quoted returns the length of the string that a text begins with.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// isKey reports whether a colon follows.
func isKey(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == ':'
		}
	}
	return false
}

// run returns how many of the bytes at the beginning are of a set.
func run(b []byte, set string) int {
	for i, c := range b {
		if strings.IndexByte(set, c) < 0 {
			return i
		}
	}
	return len(b)
}
