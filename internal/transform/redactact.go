package transform

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"unicode/utf8"
)

// hashPrefix begins what stands in the place of a hashed value.
const hashPrefix = "hmac-sha256:"

// act returns what a rule makes of a text, which is of a kind where one is given.
func (r *Redactor) act(rule int, k kind, text []byte) []byte {
	one := &r.rules[rule]
	switch one.Action {
	case ActionMask:
		return mask(k, text)
	case ActionHash:
		return append([]byte(hashPrefix), hex.EncodeToString(sign(r.key, canonical(k, text)))...)
	case ActionTruncate:
		at := 0
		for n := one.Length; n > 0 && at < len(text); n-- {
			_, size := utf8.DecodeRune(text[at:])
			at += size
		}
		return text[:at]
	case ActionReplace:
		return []byte(one.replacement)
	default: // ActionDrop, of a part of a text
		return nil
	}
}

// shape returns the kind that a text is of as a whole.
func shape(text []byte) kind {
	for _, k := range []kind{kindBearer, kindJWT, kindEmail, kindIP, kindPhone} {
		if isWhole(k, text) {
			return k
		}
	}
	return noKind
}

// canonical returns the one form of a value that can be written in several, so that
// one person has one hash.
func canonical(k kind, text []byte) []byte {
	text = bytes.TrimSpace(text)
	if k == noKind {
		k = shape(text)
	}
	switch k {
	case kindEmail:
		return bytes.ToLower(text)
	case kindIP:
		if a, ok := address(text); ok {
			return []byte(a.Unmap().String())
		}
	case kindPhone:
		var digits []byte
		for _, c := range text {
			if isDigit(c) {
				digits = append(digits, c)
			}
		}
		return digits
	default:
	}
	return text
}

// address reads an IP address; IPv4 with noughts in front too.
func address(text []byte) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(string(text)); err == nil {
		return a, true
	}
	var b [4]byte
	for i, part := range bytes.Split(text, []byte(".")) {
		n := 0
		for _, c := range part {
			n = n*10 + int(c-'0')
		}
		if i > 3 || n > 255 || n < 0 {
			return netip.Addr{}, false
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), true
}

// mask hides a text and keeps its shape: of an e-mail address the first letter and
// the domain, of an IP address the network (/24, /48), of a phone number the last two
// digits and what stands between, of other texts the first letter. Once more makes no
// difference.
func mask(k kind, text []byte) []byte {
	if k == noKind {
		k = shape(text)
	}
	trimmed := bytes.TrimSpace(text)
	if k == noKind && isMasked(trimmed) {
		return text
	}
	switch k {
	case kindEmail:
		at := bytes.LastIndexByte(trimmed, '@')
		return append(initial(trimmed[:at]), trimmed[at:]...)
	case kindIP:
		return maskIP(trimmed)
	case kindPhone:
		return maskPhone(trimmed)
	case kindJWT:
		return []byte(hidden)
	case kindBearer:
		return append(bytes.Clone(trimmed[:len("bearer ")-1]), " "+hidden...)
	default:
		return initial(trimmed)
	}
}

// isMasked reports whether a text is what mask makes of a token or a phone number.
func isMasked(text []byte) bool {
	if len(text) == len("bearer "+hidden) && bytes.EqualFold(text, []byte("bearer "+hidden)) {
		return true
	}
	const fewestStars = fewestDigits - 2
	stars, digits := 0, 0
	for _, c := range text {
		switch {
		case c == '*':
			stars++
		case isDigit(c):
			digits++
		case bytes.IndexByte([]byte("+ -./()"), c) < 0:
			return false
		}
	}
	return stars >= fewestStars && digits <= 2
}

// initial keeps the first letter of a text, if that is but a small part of it.
func initial(text []byte) []byte {
	first, size := utf8.DecodeRune(text)
	if utf8.RuneCount(text) < 2 || first == utf8.RuneError || first <= '*' || first == '\\' {
		return []byte(hidden)
	}
	return append(bytes.Clone(text[:size]), hidden...)
}

// maskIP keeps the network of an address.
func maskIP(text []byte) []byte {
	a, ok := address(text)
	if !ok {
		return []byte(hidden)
	}
	const network4, network6 = 24, 48
	bits := network4
	if a.Is6() && !a.Is4In6() {
		bits = network6
	}
	p, err := a.Unmap().WithZone("").Prefix(bits)
	if err != nil {
		return []byte(hidden)
	}
	return []byte(p.Addr().String())
}

// maskPhone keeps the last two digits of a number and what is no digit.
func maskPhone(text []byte) []byte {
	const kept = 2
	out := bytes.Clone(text)
	digits := 0
	for i := len(out) - 1; i >= 0; i-- {
		if !isDigit(out[i]) {
			continue
		}
		if digits++; digits > kept {
			out[i] = '*'
		}
	}
	return out
}
