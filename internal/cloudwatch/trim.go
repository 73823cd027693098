package cloudwatch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	// trimKeep is how much of the start of a long text is kept at least.
	trimKeep = 256
	// trimNote is more than the quotes and the note at the end of a cut text take.
	trimNote = 64
	// trimDepth is how deep inside "details" texts are looked for; what lies
	// deeper goes with the member that holds it.
	trimDepth = 12
	// trimPaths bounds the places named in the marker, trimPathLen their length.
	trimPaths   = 16
	trimPathLen = 128
	// trimReserve is more than the marker and the notes of the cuts can take:
	// each byte of a path may become six in JSON.
	trimReserve = 1024 + trimPaths*(6*trimPathLen+64)
)

// A cut replaces a span of an event's bytes.
type cut struct {
	start, end int
	with       []byte
	path       string
}

// trim makes a JSON object of more than limit bytes fit by cutting what its
// member "details" holds, the largest first: long texts lose their end; when
// that is not enough, members go whole, and at last all of "details". The rest
// stays byte for byte. A member says what was done:
//
//	"gapless":{"trimmed":{"bytes":1234567,"paths":["details.request.body"]}}
//
// with the size that the event had. It is the last member, also of an event that
// has one of that name already. It reports false for what is no valid JSON object
// and when "details" is not what makes it too large.
func trim(raw []byte, limit, was int) ([]byte, bool) {
	if !json.Valid(raw) || !gjson.ParseBytes(raw).IsObject() {
		return nil, false
	}
	path := "details"
	details := gjson.GetBytes(raw, path)
	if !details.Exists() { // the envelope of a log stream that names the event itself
		path = "data.details"
		details = gjson.GetBytes(raw, path)
	}
	if !details.Exists() || details.Index == 0 {
		return nil, false
	}
	all := span{start: details.Index, end: details.Index + len(details.Raw), path: path}
	excess := len(raw) + trimReserve - limit
	for _, way := range []func([]byte, span, int) ([]cut, int){cutTexts, cutMembers, cutAll} {
		if cuts, freed := way(raw, all, excess); freed >= excess && len(cuts) <= trimPaths {
			return applyCuts(raw, cuts, was), true
		}
	}
	return nil, false
}

// A span is a JSON value inside the bytes of an event.
type span struct {
	start, end int
	path       string
}

// size is how many bytes the value takes.
func (s span) size() int { return s.end - s.start }

// cutTexts shortens the longest texts inside details until excess bytes are free.
func cutTexts(raw []byte, details span, excess int) (cuts []cut, freed int) {
	for _, s := range largestFirst(texts(nil, raw, details, 0)) {
		if freed >= excess || len(cuts) == trimPaths {
			break
		}
		keep := max(trimKeep, s.size()-(excess-freed)-trimNote)
		with := shortened(raw[s.start:s.end], keep)
		if gain := s.size() - len(with); gain > 0 {
			cuts = append(cuts, cut{s.start, s.end, with, s.path})
			freed += gain
		}
	}
	return cuts, freed
}

// cutMembers takes the largest members of details out until excess bytes are free.
func cutMembers(raw []byte, details span, excess int) (cuts []cut, freed int) {
	for _, s := range largestFirst(members(raw, details)) {
		if freed >= excess || len(cuts) == trimPaths {
			break
		}
		with := gone(s.size())
		if gain := s.size() - len(with); gain > 0 {
			cuts = append(cuts, cut{s.start, s.end, with, s.path})
			freed += gain
		}
	}
	return cuts, freed
}

// cutAll takes details out as a whole.
func cutAll(_ []byte, details span, _ int) ([]cut, int) {
	with := gone(details.size())
	return []cut{{details.start, details.end, with, details.path}}, details.size() - len(with)
}

// gone is the JSON text in place of a value of n bytes.
func gone(n int) []byte { return []byte(`"[trimmed ` + strconv.Itoa(n) + ` bytes]"`) }

// largestFirst sorts spans by their size.
func largestFirst(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(b.size(), a.size()) })
	return spans
}

// texts collects the JSON texts inside a value that are worth cutting.
func texts(to []span, raw []byte, v span, depth int) []span {
	if v.size() <= 2*trimKeep || depth > trimDepth {
		return to
	}
	switch raw[v.start] {
	case '"':
		return append(to, v)
	case '{', '[':
		for _, m := range members(raw, v) {
			to = texts(to, raw, m, depth+1)
		}
	}
	return to
}

// members returns the values that an object or array holds.
func members(raw []byte, v span) []span {
	inner := gjson.ParseBytes(raw[v.start:v.end])
	if !inner.IsObject() && !inner.IsArray() {
		return nil
	}
	var out []span
	i := 0
	inner.ForEach(func(k, m gjson.Result) bool {
		name := k.Str
		if k.Type != gjson.String {
			name = strconv.Itoa(i)
		}
		i++
		start := v.start + m.Index
		out = append(out, span{start, start + len(m.Raw), cutRunes(v.path+"."+name, trimPathLen)})
		return true
	})
	return out
}

// shortened returns a JSON text with about keep bytes of its content and a note
// of how much is missing. Neither a character nor an escape is cut in two.
func shortened(quoted []byte, keep int) []byte {
	content := quoted[1 : len(quoted)-1]
	end := textEnd(content, keep)
	note := "…[trimmed " + strconv.Itoa(len(content)-end) + " bytes]\""
	return slices.Concat([]byte{'"'}, content[:end], []byte(note))
}

// textEnd returns the last place up to most at which the content of a JSON text
// may end.
func textEnd(content []byte, most int) int {
	end := 0
	for end < len(content) {
		n := charLen(content[end:])
		if end+n > most {
			break
		}
		end += n
	}
	return min(end, len(content))
}

// charLen returns how many bytes of the content of a JSON text stand for its
// first character; a pair of surrogates is one.
func charLen(content []byte) int {
	switch {
	case content[0] != '\\':
		_, n := utf8.DecodeRune(content)
		return n
	case len(content) < 2 || content[1] != 'u':
		return 2
	case highSurrogate(content) && bytes.HasPrefix(content[6:], []byte(`\u`)):
		return 12
	default:
		return 6
	}
}

// highSurrogate reports whether an escape \uXXXX is the first half of a pair.
func highSurrogate(esc []byte) bool {
	if len(esc) < 6 {
		return false
	}
	v, err := strconv.ParseUint(string(esc[2:6]), 16, 16)
	return err == nil && v >= 0xD800 && v < 0xDC00
}

// applyCuts makes the cuts and adds the marker as the last member.
func applyCuts(raw []byte, cuts []cut, was int) []byte {
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	from := 0
	for _, c := range cuts {
		out.Write(raw[from:c.start])
		out.Write(c.with)
		from = c.end
	}
	end := bytes.LastIndexByte(raw, '}')
	out.Write(raw[from:end])
	out.WriteString(`,"gapless":{"trimmed":{"bytes":` + strconv.Itoa(was) + `,"paths":[`)
	for i, c := range cuts {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(appendText(nil, []byte(c.path)))
	}
	out.WriteString(`]}}`)
	out.Write(raw[end:])
	return out.Bytes()
}

// cutRunes returns s, or its start of at most n bytes without half a character.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
