package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
)

// A shows says what a page shows, and so who may see it.
type shows int

const (
	// figures are counts, states and errors. Options.Closed leaves them open.
	figures shows = iota
	// events are events, dead letters and the configuration: closed by Options.Closed,
	// and for who has the role view.
	events
	// operations change something: closed likewise, and for who has the role operate.
	operations
)

// role is the least that who sees it must have.
func (s shows) role() access.Role {
	if s == operations {
		return access.Operate
	}
	return access.View
}

// A content is what a builder makes of a request.
type content struct {
	// Template names the file under templates/pages, without its suffix.
	Template string
	// Title is the title in the language of the page, without "gapless".
	Title string
	// Nav is the entry of the navigation that is marked: overview, events, activity, or
	// tenant:NAME.
	Nav string
	// Live says that the page defines "live", which its stream keeps current.
	Live bool
	// Status is that of the answer; 0 is 200.
	Status int
	// Overview are the figures that the layout takes its list of tenants from.
	Overview Overview
	// Data is for the template.
	Data any
}

// A builder makes the content of a page. An error that wraps ErrNotFound is answered by
// 404, a *failure by what it says, others by 500 and a line in the log.
type builder func(r *http.Request, w *words) (content, error)

// A failure is an answer that is no page: the text of a key with its arguments.
type failure struct {
	status int
	key    string
	args   []any
}

// Error implements error.
func (f *failure) Error() string { return f.key }

// A frame is what a template gets: the page's content and what is around it.
type frame struct {
	content

	Lang, Theme string
	Version     string
	At          time.Time
	Who         access.Identity
	// Tenants are the entries of the navigation.
	Tenants []navTenant
	// Journal and Letters say which pages there are; Closed why some are closed.
	Journal, Letters, HasConfig bool
	Closed                      string

	w        *words
	url      *url.URL
	fragment bool // drawn for a script, which fills in the relative times itself
}

// A navTenant is a tenant in the navigation.
type navTenant struct {
	Name  string
	State State
	Mark  string // class of its dot, see mark
}

// page returns the handler of a page.
func (h *handler) page(what shows, build builder) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if h.refuses(w, r, what) {
			return
		}
		c, err := build(r, h.look.words[h.lang(r)])
		if err != nil {
			h.failBy(w, r, err)
			return
		}
		h.draws(w, r, c)
	}
}

// refuses answers a request for what is closed, or not for who asks.
func (h *handler) refuses(w http.ResponseWriter, r *http.Request, what shows) bool {
	switch {
	case h.opts.Closed != "" && what != figures:
		h.fail(w, r, http.StatusForbidden, "error.closed", h.opts.Closed)
	case !access.From(r.Context()).May(what.role()):
		if what == operations {
			access.Audit(r.Context(), h.logger, "request", "refused", slog.String("reason", "role"), slog.String("path", Plain(r.URL.Path)))
		}
		h.fail(w, r, http.StatusForbidden, "error.role."+what.role().String())
	default:
		return false
	}
	return true
}

// lang returns the language of a request.
func (h *handler) lang(r *http.Request) string {
	if lang := prefer(nil, r, "lang", langCookie, Languages()); lang != "" {
		return lang
	}
	return accepted(r.Header.Get("Accept-Language"))
}

// draws sends a page, or the part of it that a script has asked for.
func (h *handler) draws(w http.ResponseWriter, r *http.Request, c content) {
	f := h.frame(w, r, c)
	part := "layout"
	if f.fragment {
		part = "live"
	}
	t := h.look.pages[f.Lang][c.Template]
	if t == nil || t.Lookup(part) == nil {
		h.logger.LogAttrs(r.Context(), slog.LevelError, "no such template", slog.String("template", c.Template), slog.String("part", part))
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, part, f); err != nil {
		h.logger.LogAttrs(r.Context(), slog.LevelError, "cannot draw the page", slog.Any("error", err))
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", f.Lang)
	w.Header().Set("Vary", "Accept-Language, Cookie, "+fragmentHeader)
	if c.Status != 0 {
		w.WriteHeader(c.Status)
	}
	h.write(w, r, b.Bytes())
}

// frame puts a frame around a content.
func (h *handler) frame(w http.ResponseWriter, r *http.Request, c content) *frame {
	fragment := r.Header.Get(fragmentHeader) == "live" && c.Live
	if fragment {
		w = nil // a script names the language of its page; nobody has chosen anything
	}
	f := &frame{
		content: c, Lang: prefer(w, r, "lang", langCookie, Languages()), Theme: prefer(w, r, "theme", themeCookie, themes),
		Version: c.Overview.Version, At: c.Overview.At, Who: access.From(r.Context()),
		Journal: h.opts.Journal != nil && h.opts.Closed == "", Letters: h.opts.Letters != nil && h.opts.Closed == "", Closed: h.opts.Closed,
		HasConfig: h.opts.Config != nil && h.opts.Closed == "",
		url:       r.URL, fragment: fragment,
	}
	if f.Lang == "" {
		f.Lang = accepted(r.Header.Get("Accept-Language"))
	}
	if f.Theme == "" {
		f.Theme = themes[0]
	}
	if f.At.IsZero() {
		f.At = time.Now()
	}
	f.w = h.look.words[f.Lang]
	for _, t := range c.Overview.Tenants {
		f.Tenants = append(f.Tenants, navTenant{Name: t.Name, State: t.State, Mark: mark(t)})
	}
	return f
}

// mark says how a tenant is shown at a glance: good, busy, warn, bad or idle.
func mark(t Tenant) string {
	switch {
	case t.State == StateStuck:
		return "bad"
	case t.State == StateTrouble || len(t.Retention.Risks) > 0:
		return "warn"
	case t.State == StateDelivering:
		return "busy"
	case t.State == StateDelivered:
		return "good"
	default:
		return "idle"
	}
}

// With returns the address of the page with a parameter of its query changed, or without it
// when the value is empty.
func (f *frame) With(parameter, value string) string {
	q := f.url.Query()
	q.Del("theme")
	q.Del("lang")
	if value == "" {
		q.Del(parameter)
	} else {
		q.Set(parameter, value)
	}
	if len(q) == 0 {
		return f.url.Path
	}
	return f.url.Path + "?" + q.Encode()
}

// WithOnly returns the address of the page with one parameter and no other.
func (f *frame) WithOnly(parameter, value string) string {
	return f.url.Path + "?" + url.Values{parameter: {value}}.Encode()
}

// Without returns the address of the page without some parameters.
func (f *frame) Without(parameters ...string) string {
	q := f.url.Query()
	for _, p := range append(parameters, "theme", "lang") {
		q.Del(p)
	}
	if len(q) == 0 {
		return f.url.Path
	}
	return f.url.Path + "?" + q.Encode()
}

// Self returns the address of the page for its stream.
func (f *frame) Self() string { return f.With("lang", f.Lang) }

// Ago writes how long ago a time was, as an element whose text scripts keep current; a
// dash for none.
func (f *frame) Ago(t time.Time) template.HTML { return f.relative(t, "ago") }

// Age is Ago without the word "ago", for a figure of its own.
func (f *frame) Age(t time.Time) template.HTML { return f.relative(t, "age") }

// relative writes the element. In a fragment it is empty: the script writes the text, so
// that a page on which nothing happens stays the same.
func (f *frame) relative(t time.Time, style string) template.HTML {
	if t.IsZero() {
		return `<span class="none">–</span>`
	}
	text := ""
	if !f.fragment {
		text = f.w.since(f.At.Sub(t))
		if style == "ago" {
			text = f.w.t("js.ago", text)
		}
	}
	return template.HTML(`<time data-rel="` + style + `" datetime="` + t.UTC().Format(time.RFC3339Nano) + `" title="` + stamp(t) + ` UTC">` + //nolint:gosec // made of numbers and words of the catalogue
		template.HTMLEscapeString(text) + `</time>`)
}

// Stamp writes a time in full, in UTC, as an element; a dash for none.
func (f *frame) Stamp(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="none">–</span>`
	}
	return template.HTML(`<time data-stamp datetime="` + t.UTC().Format(time.RFC3339Nano) + `">` + stamp(t) + `</time>`) //nolint:gosec // made of numbers
}

// Words returns what scripts need of the catalogue, as JSON.
func (f *frame) Words() (string, error) { return f.w.script() }

// stamp writes a time for a person, in UTC; a dash when there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

// failBy answers with what an error of a builder calls for.
func (h *handler) failBy(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	switch {
	case errors.As(err, &f):
		h.fail(w, r, f.status, f.key, f.args...)
	case errors.Is(err, ErrNotFound):
		h.fail(w, r, http.StatusNotFound, "error.gone")
	case r.Context().Err() != nil: // the client has left
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		h.logger.LogAttrs(r.Context(), slog.LevelError, "cannot build the page", slog.String("path", r.URL.Path), slog.Any("error", err))
		h.fail(w, r, http.StatusInternalServerError, "error.broken")
	}
}

// notFound answers for what is not there.
func (h *handler) notFound(w http.ResponseWriter, r *http.Request) {
	h.fail(w, r, http.StatusNotFound, "error.not_found")
}

// fail answers with an error: as a page for a browser, as JSON under /api/, otherwise as
// a line of text. The key names the sentence.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, status int, key string, args ...any) {
	page := strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get(fragmentHeader) == ""
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		b, err := json.Marshal(map[string]string{"error": h.look.words["en"].t(key, args...)})
		if err != nil {
			b = []byte("{}")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		h.write(w, r, append(b, '\n'))
	case !page:
		http.Error(w, h.look.words["en"].t(key, args...), status)
	default:
		t := h.look.words[h.lang(r)]
		o, _ := h.figures.get(r.Context()) // for the navigation alone
		if !access.From(r.Context()).May(access.View) {
			o = Overview{}
		}
		h.draws(w, r, content{Template: "error", Title: t.or("error.title.", strconv.Itoa(status)), Status: status, Overview: o, Data: failed{Status: status, Text: t.t(key, args...)}})
	}
}

// failed is what the page of an error shows.
type failed struct {
	Status int
	Text   string
}
