package transform

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
)

// A kind is a kind of value that is found by its form.
type kind uint8

// The kinds.
const (
	kindEmail kind = iota
	kindIP
	kindPhone
	kindJWT
	kindBearer
	kindCount
	noKind = kindCount
)

// A kindSet is a set of kinds, a bit for each.
type kindSet uint8

// RedactKinds returns the names of the kinds of values:
//
//	email   an e-mail address with a dot in its domain
//	ip      an IPv4 or IPv6 address
//	phone   a phone number: with a plus; or as it is written in a country, with a
//	        nought, brackets or hyphens; or 10 to 15 digits that stand alone
//	jwt     a JSON Web Token, signed or encrypted
//	bearer  the word Bearer with a token
func RedactKinds() []string { return []string{"email", "ip", "phone", "jwt", "bearer"} }

// kindNamed returns the kind of a name of RedactKinds.
func kindNamed(name string) kind {
	for i, n := range RedactKinds() {
		if n == name {
			return kind(i)
		}
	}
	return noKind
}

// traitsOf returns the traits of which a text has one if it holds a kind.
func traitsOf(k kind) traits {
	switch k {
	case kindEmail:
		return hasAt
	case kindIP:
		return hasDigit | hasColon
	case kindPhone:
		return hasDigit
	case kindJWT:
		return hasDot
	default:
		return hasB
	}
}

// find calls fn for each value of a kind in a text, in order, until it returns
// false.
func find(k kind, text []byte, fn func(from, to int) bool) {
	switch k {
	case kindEmail:
		findEmail(text, fn)
	case kindIP:
		findIP(text, fn)
	case kindPhone:
		findPhone(text, fn)
	case kindJWT:
		findJWT(text, fn)
	case kindBearer:
		findBearer(text, fn)
	default:
	}
}

// holds reports whether a text holds a value of a kind, in whatever layer.
func holds(k kind, text []byte) (found bool) {
	layers(text, func(text []byte, _ int) {
		find(k, text, func(int, int) bool {
			found = true
			return false
		})
	})
	return found
}

// isWhole reports whether a text, but for space around it, is a value of a kind.
func isWhole(k kind, text []byte) (whole bool) {
	trimmed := bytes.TrimSpace(text)
	if k == kindIP && len(trimmed) <= longestIP6 {
		if _, err := netip.ParseAddr(string(trimmed)); err == nil {
			return true
		}
	}
	find(k, trimmed, func(from, to int) bool {
		whole = from == 0 && to == len(trimmed)
		return false
	})
	return whole
}

// findEmail finds e-mail addresses.
func findEmail(text []byte, fn func(from, to int) bool) {
	for at := 0; ; at++ {
		n := bytes.IndexByte(text[at:], '@')
		if n < 0 {
			return
		}
		at += n
		from := at
		for from > 0 && isLocal(text[from-1]) && !encodedEnd(text[:from]) {
			from--
		}
		for from < at && (text[from] == '\'' || text[from] == '.') {
			from++
		}
		if from == at {
			from = quotedLocal(text[:at])
		}
		to, dotted := at+1, false
		for to < len(text) && isDomain(text[to]) {
			dotted = dotted || text[to] == '.' && to > at+1 && to+1 < len(text) && isDomain(text[to+1])
			to++
		}
		for to > at+1 && (text[to-1] == '.' || text[to-1] == '-') {
			to--
		}
		if from < at && dotted && !fn(from, to) {
			return
		}
	}
}

// quotedLocal returns where the part in quotes begins with which a text ends, as in
// "john doe"@example.com; its length when there is none.
func quotedLocal(text []byte) int {
	const longest = 64 // RFC 5321
	n := len(text)
	if n < 2 || text[n-1] != '"' {
		return n
	}
	begin := max(0, n-2-longest)
	if i := bytes.LastIndexByte(text[begin:n-1], '"'); i >= 0 && begin+i < n-2 && bytes.IndexByte(text[begin+i:], '@') < 0 {
		return begin + i
	}
	return n
}

// encodedEnd reports whether a text ends with a character in the encoding of URLs,
// of which another layer of the text tells what it is.
func encodedEnd(text []byte) bool {
	n := len(text)
	return n >= 3 && text[n-3] == '%' && unhex(text[n-2]) >= 0 && unhex(text[n-1]) >= 0
}

// isLocal reports whether c may stand before the @ of an address. Those that separate
// parts of URLs, ids and lists may, by RFC 5322, and do not in practice.
func isLocal(c byte) bool {
	return isAlnum(c) || c >= 0x80 || bytes.IndexByte([]byte("._%+-'~!#$*^`"), c) >= 0
}

// isDomain reports whether c may stand behind the @ of an address.
func isDomain(c byte) bool { return isAlnum(c) || c >= 0x80 || c == '.' || c == '-' || c == '_' }

// findIP finds IP addresses.
func findIP(text []byte, fn func(from, to int) bool) {
	const fewestDots, fewestColons = 3, 2
	has4, has6 := bytes.Count(text, []byte(".")) >= fewestDots, bytes.Count(text, []byte(":")) >= fewestColons
	if !has4 && !has6 {
		return
	}
	for i := 0; i < len(text); i++ {
		c, n := text[i], 0
		if has6 && (c == ':' || unhex(c) >= 0) {
			n = ip6At(text, i)
		}
		if n == 0 && has4 && isDigit(c) {
			n = ip4At(text, i)
		}
		if n == 0 {
			continue
		}
		if !fn(i, i+n) {
			return
		}
		i += n - 1
	}
}

// ip4At returns the length of an IPv4 address that begins at i; 0 for none. An
// address that ends with three noughts is no host's, but a version of a browser.
func ip4At(text []byte, i int) int {
	if i > 0 && isDigit(text[i-1]) || i > 1 && text[i-1] == '.' && isDigit(text[i-2]) {
		return 0
	}
	at, last := i, 0
	noughts := true
	for part := range 4 {
		if part > 0 {
			if at >= len(text) || text[at] != '.' {
				return 0
			}
			at++
		}
		n, begin := 0, at
		for at < len(text) && isDigit(text[at]) && at-begin < 3 {
			n = n*10 + int(text[at]-'0')
			at++
		}
		if at == begin || n > 255 {
			return 0
		}
		noughts = noughts && (part == 0 || n == 0)
		last = at
	}
	if noughts || last < len(text) && isDigit(text[last]) || last+1 < len(text) && text[last] == '.' && isDigit(text[last+1]) {
		return 0
	}
	return last - i
}

// longestIP6 is the length of the longest form of an IPv6 address.
const longestIP6 = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// mostColons is how many colons an IPv6 address has at most.
const mostColons = 8

// ip6At returns the length of an IPv6 address that begins at i; 0 for none.
func ip6At(text []byte, i int) int {
	if i > 0 && (isAlnum(text[i-1]) || text[i-1] == ':' && i > 1 && (isAlnum(text[i-2]) && unhex(text[i-2]) >= 0 && text[i] == ':')) {
		return 0
	}
	to, colons, short := i, 0, false
	for to < len(text) && to-i <= longestIP6 && (unhex(text[to]) >= 0 || text[to] == ':' || text[to] == '.') {
		if text[to] == ':' {
			colons++
			if to > i && text[to-1] == ':' {
				if short { // it has been shortened before
					colons--
					break
				}
				short = true
			}
		}
		to++
	}
	for ; to > i+2 && colons >= 2; to-- {
		inWord := to < len(text) && isAlnum(text[to]) && isAlnum(text[to-1])
		fits := colons <= mostColons && (short || colons >= mostColons-2) // with an IPv4 address in it there are six
		if text[to-1] == ':' {
			colons--
		}
		if inWord || !fits {
			continue
		}
		if a, err := netip.ParseAddr(string(text[i:to])); err == nil && a.Is6() && !a.IsUnspecified() {
			return to - i
		}
	}
	return 0
}

// isDigit reports whether c is a digit.
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Phone numbers as they are written within a country: with an area code in brackets
// or behind a nought, and those of North America.
var (
	nationalPhone = regexp.MustCompile(`^\(?0[0-9]{1,5}\)?(?:[ +/.-]{1,3}[0-9]{2,9}){1,5}`)
	northAmerican = regexp.MustCompile(`^(?:1[-. +]?)?(?:\([0-9]{3}\)[ +]?|[0-9]{3}[-. +])[0-9]{3}[-. +][0-9]{4}`)
)

// The numbers of digits that a phone number has (E.164 has 15 at most).
const (
	fewestDigits  = 7
	fewestAlone   = 10 // where nothing but digits shows that it is one
	mostDigits    = 15
	longestNumber = 32 // with what stands between
)

// findPhone finds phone numbers.
func findPhone(text []byte, fn func(from, to int) bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		var n int
		switch {
		case c == '+':
			n = plusPhone(text[i:])
		case !isDigit(c) && c != '(':
			continue
		case i > 0 && (isAlnum(text[i-1]) || bytes.IndexByte([]byte("_-."), text[i-1]) >= 0):
			continue
		default:
			n = plainPhone(text[i:])
		}
		if n == 0 {
			continue
		}
		if !fn(i, i+n) {
			return
		}
		i += n - 1
	}
}

// plusPhone returns the length of a number that begins with a plus.
func plusPhone(text []byte) int {
	digits, end, apart := 0, 0, 0
	for i := 1; i < len(text) && i < longestNumber && apart < 3; i++ {
		switch c := text[i]; {
		case isDigit(c) && digits < mostDigits:
			digits++
			end, apart = i+1, 0
		case bytes.IndexByte([]byte(" +-./()"), c) >= 0: // a plus is a space in a form
			apart++
		default:
			apart = 3
		}
	}
	if digits < fewestDigits {
		return 0
	}
	return end
}

// plainPhone returns the length of a number without a plus.
func plainPhone(text []byte) int {
	head := text[:min(len(text), longestNumber)]
	n := 0
	for n < len(head) && isDigit(head[n]) {
		n++
	}
	if ends(text, n) && n >= fewestAlone && n <= mostDigits && !isTime(head[:n]) {
		return n
	}
	if m := len(northAmerican.Find(head)); m > 0 && endsWritten(text, m) {
		return m
	}
	m := len(nationalPhone.Find(head))
	digits := 0
	for _, c := range head[:m] {
		if isDigit(c) {
			digits++
		}
	}
	if digits >= fewestDigits && digits <= mostDigits && endsWritten(text, m) {
		return m
	}
	return 0
}

// endsWritten reports whether a number with something between its digits may end at
// n: a letter may follow, such as the x of an extension.
func endsWritten(text []byte, n int) bool {
	return n == len(text) || isAlnum(text[n]) && !isDigit(text[n]) || ends(text, n)
}

// ends reports whether digits that stand alone may end at n.
func ends(text []byte, n int) bool {
	if n == len(text) {
		return true
	}
	c := text[n]
	return !isAlnum(c) && c != '_' && (c != '-' && c != '.' || n+1 == len(text) || !isAlnum(text[n+1]))
}

// isTime reports whether digits are more likely a time: seconds or milliseconds
// since 1970, or a date and time in a row.
func isTime(digits []byte) bool {
	switch len(digits) {
	case 10, 13:
		return digits[0] == '1'
	case 12, 14:
		return digits[0] == '2' && digits[1] == '0'
	default:
		return false
	}
}

// findJWT finds tokens of three or five parts, also when they are cut off.
func findJWT(text []byte, fn func(from, to int) bool) {
	for i := 0; ; {
		n := bytes.IndexByte(text[i:], 'e')
		if n < 0 {
			return
		}
		i += n
		if !isHeader(text[i:]) {
			i++
			continue
		}
		to, dots := i, 0
		for to < len(text) && (isBase64URL(text[to]) || text[to] == '.') {
			if text[to] == '.' {
				dots++
			}
			to++
		}
		for to > i && text[to-1] == '.' {
			to, dots = to-1, dots-1
		}
		const shortest = 10 // a header alone has more
		if dots > 0 && bytes.IndexByte(text[i:to], '.') >= shortest && !fn(i, to) {
			return
		}
		i = max(to, i+3)
	}
}

// isHeader reports whether a text begins like the header of a token: a brace in
// Base64, with a quote, a space or a line break behind it.
func isHeader(text []byte) bool {
	return len(text) > 3 && (text[1] == 'y' && (text[2] == 'J' || text[2] == 'A') || text[1] == 'w' && (text[2] == 'o' || text[2] == '0'))
}

// isBase64URL reports whether c is of that alphabet.
func isBase64URL(c byte) bool { return isAlnum(c) || c == '-' || c == '_' }

// findBearer finds the word with a token behind it.
func findBearer(text []byte, fn func(from, to int) bool) {
	const word = "bearer"
	for i := 0; i+len(word) < len(text); i++ {
		if text[i]|0x20 != 'b' || !bytes.EqualFold(text[i:i+len(word)], []byte(word)) {
			continue
		}
		begin, to := tokenBehind(text, i+len(word))
		if begin > i+len(word) && bytes.EqualFold(text[begin:to], []byte("token")) { // Bearer token: ...
			if next, end := tokenBehind(text, to); next > to {
				begin, to = next, end
			}
		}
		if begin > i+len(word) && isToken(text[begin:to]) && !fn(i, to) {
			return
		}
		i = max(i, to-1)
	}
}

// tokenBehind returns the word that stands behind a place, and behind what may stand
// between a scheme and its token; begin is the place itself when nothing does.
func tokenBehind(text []byte, at int) (begin, end int) {
	begin = at
	for begin < len(text) && bytes.IndexByte([]byte(" \t+:=\"'"), text[begin]) >= 0 {
		begin++
	}
	end = begin
	for end < len(text) && (isAlnum(text[end]) || bytes.IndexByte([]byte("-._~+/="), text[end]) >= 0) {
		end++
	}
	return begin, end
}

// isToken tells a token from the next word of a sentence about one.
func isToken(text []byte) bool {
	const shortest = 6
	word := string(bytes.ToLower(bytes.TrimRight(text, ".=")))
	return len(text) >= shortest && !slices.Contains([]string{
		"tokens", "authentication", "authorization", "scheme", "schemes", "header", "headers", "format", "missing", "required", "invalid", "expired",
		"method", "methods", "credentials", "credential", "realm", "error", "challenge", "should", "cannot", "without",
	}, word)
}
