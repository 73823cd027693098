package tenant

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// piece appends a part of a template, filled in for a scene.
type piece func(g *Generator, s *scene, dst []byte) []byte

// scene is what the placeholders of one event are filled in from.
type scene struct {
	*session
	title string
	date  time.Time
}

// compile turns text with placeholders into pieces.
func compile(text string) ([]piece, error) {
	var pieces []piece
	for text != "" {
		open := strings.IndexByte(text, '<')
		if open < 0 {
			pieces = append(pieces, literal(text))
			break
		}
		if open > 0 {
			pieces = append(pieces, literal(text[:open]))
		}
		end := strings.IndexByte(text, '>')
		if end < open {
			return nil, fmt.Errorf("placeholder without end in %q", text[open:])
		}
		p, err := placeholder(text[open+1 : end])
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, p)
		text = text[end+1:]
	}
	return pieces, nil
}

func literal(text string) piece {
	return func(_ *Generator, _ *scene, dst []byte) []byte { return append(dst, text...) }
}

// placeholder returns the piece for "name" or "name:arguments".
func placeholder(spec string) (piece, error) {
	name, args, has := strings.Cut(spec, ":")
	if has {
		return placeholderOf(name, args)
	}
	if field, ok := sceneText[name]; ok {
		return func(_ *Generator, s *scene, dst []byte) []byte { return appendEscaped(dst, field(s)) }, nil
	}
	if p, ok := scenePieces[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("no placeholder <%s>", name)
}

// sceneText are the placeholders that stand for text of the scene.
var sceneText = map[string]func(s *scene) string{
	"title":         func(s *scene) string { return s.title },
	"tenant":        func(s *scene) string { return s.world.tenant },
	"connection":    func(s *scene) string { return s.connection.name },
	"connection_id": func(s *scene) string { return s.connection.id },
	"strategy":      func(s *scene) string { return s.connection.strategy },
	"client_id":     func(s *scene) string { return s.app.id },
	"audience":      func(s *scene) string { return s.app.audience },
	"user_id":       func(s *scene) string { return s.user.id },
	"user_hex":      func(s *scene) string { return s.user.hex },
	"user_name":     func(s *scene) string { return s.user.email },
	"display_name":  func(s *scene) string { return s.user.name },
	"ip":            func(s *scene) string { return s.ip },
	"session":       func(s *scene) string { return s.id },
	"org_id":        func(s *scene) string { return s.org.id },
	"raw_agent":     func(s *scene) string { return s.browser.raw },
	"sdk_agent":     func(*scene) string { return "Go-Auth0/latest" },
	"admin_id":      func(s *scene) string { return adminID(s.world) },
	"admin_email":   func(*scene) string { return "admin@example.com" },
}

// adminID is the user_id of the tenant's administrator.
func adminID(w *world) string { return "auth0|" + w.users[0].hex }

// scenePieces are the placeholders that are no plain text.
var scenePieces = map[string]piece{
	"ms": func(_ *Generator, s *scene, dst []byte) []byte { return strconv.AppendInt(dst, s.date.UnixMilli(), 10) },
	"iso": func(_ *Generator, s *scene, dst []byte) []byte {
		return s.date.Add(-20*time.Millisecond).AppendFormat(dst, dateLayout)
	},
	"uuid": func(g *Generator, _ *scene, dst []byte) []byte {
		for i, n := range []int{8, 4, 4, 4, 12} {
			if i > 0 {
				dst = append(dst, '-')
			}
			dst = appendHex(dst, g.rng, n)
		}
		return dst
	},
	// Auth0 sends a number here where a custom database counts its users.
	"identity": func(g *Generator, s *scene, dst []byte) []byte {
		if g.quirk() {
			return strconv.AppendInt(dst, int64(g.rng.IntN(99999)), 10)
		}
		return appendString(dst, s.user.hex)
	},
	"scopes": func(g *Generator, _ *scene, dst []byte) []byte { return g.appendScopes(dst, `","`, `"`) },
	"bulk":   func(g *Generator, _ *scene, dst []byte) []byte { return g.appendBulk(dst) },
}

// placeholderOf returns the piece for a placeholder with arguments.
func placeholderOf(name, args string) (piece, error) {
	if name == "pick" {
		choices := strings.Split(args, "|")
		return func(g *Generator, _ *scene, dst []byte) []byte {
			return append(dst, choices[g.rng.IntN(len(choices))]...)
		}, nil
	}
	if name == "int" {
		low, high, err := bounds(args)
		return func(g *Generator, _ *scene, dst []byte) []byte {
			return strconv.AppendInt(dst, int64(low+g.rng.IntN(high-low+1)), 10)
		}, err
	}
	n, err := strconv.Atoi(args)
	if err != nil {
		return nil, fmt.Errorf("placeholder <%s>: %q is no number", name, args)
	}
	switch name {
	case "ms":
		return func(_ *Generator, s *scene, dst []byte) []byte {
			return strconv.AppendInt(dst, s.date.UnixMilli()+int64(n), 10)
		}, nil
	case "hex":
		return func(g *Generator, _ *scene, dst []byte) []byte { return appendHex(dst, g.rng, n) }, nil
	case "b64":
		return func(g *Generator, _ *scene, dst []byte) []byte { return appendText(dst, g.rng, n) }, nil
	default:
		return nil, fmt.Errorf("no placeholder <%s:>", name)
	}
}

// bounds reads "low-high".
func bounds(args string) (low, high int, err error) {
	a, b, _ := strings.Cut(args, "-")
	low, err = strconv.Atoi(a)
	if err == nil {
		high, err = strconv.Atoi(b)
	}
	if err == nil && high < low {
		err = fmt.Errorf("the range %q is empty", args)
	}
	return low, high, err
}
