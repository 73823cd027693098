package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
)

// moveTimeout bounds a replay or drop.
const moveTimeout = 25 * time.Second

// A lettersTab is the tab of dead letters.
type lettersTab struct {
	List []Letter
	// Kinds and Reasons are what there is to choose from, Kind and Reason what is chosen.
	Kinds, Reasons []string
	Kind, Reason   string
	// Matching is how many the choice has in all.
	Matching int64
	// Before is where the page begins, More where the next one does; 0 for none.
	Before, More int64
	// Newest bounds what "all" means: letters that come later are not among them.
	Newest int64
	// May says that who looks may act.
	May bool
}

// buildLetters makes the page of the dead letters.
func (h *handler) buildLetters(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "letters")
	if err != nil {
		return content{}, err
	}
	q := r.URL.Query()
	tab := &lettersTab{Kind: q.Get("kind"), Reason: q.Get("reason"), May: access.From(r.Context()).May(access.Operate)}
	if tab.Before, err = wholeParameter(r, "before", 0, math.MaxInt64); err != nil {
		return content{}, err
	}
	f := LetterFilter{Tenant: p.Name, Kind: tab.Kind, Reason: tab.Reason, Before: tab.Before}
	if tab.List, err = h.listLetters(r, f, tableRows+1); err != nil {
		return content{}, err
	}
	if len(tab.List) > tableRows {
		tab.List = tab.List[:tableRows]
		tab.More = tab.List[tableRows-1].ID
	}
	f.Before = 0
	newest, err := h.listLetters(r, f, 1)
	if err != nil {
		return content{}, err
	}
	if len(newest) > 0 {
		tab.Newest = newest[0].ID + 1
	}
	tab.choices(p.Letters)
	p.Body = tab
	return contentOf(o, p, w, "letters"), nil
}

// choices sets what there is to choose from, and how many the choice has.
func (tab *lettersTab) choices(counts []Letters) {
	for _, l := range counts {
		if !slices.Contains(tab.Kinds, l.Kind) {
			tab.Kinds = append(tab.Kinds, l.Kind)
		}
		if !slices.Contains(tab.Reasons, l.Reason) {
			tab.Reasons = append(tab.Reasons, l.Reason)
		}
		if (tab.Kind == "" || tab.Kind == l.Kind) && (tab.Reason == "" || tab.Reason == l.Reason) {
			tab.Matching += l.Count
		}
	}
}

// A letterTab is one dead letter with its body as text.
type letterTab struct {
	Letter Letter
	Body   string
	May    bool
}

// buildLetter makes the page of one dead letter.
func (h *handler) buildLetter(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "letters")
	if err != nil {
		return content{}, err
	}
	l, body, err := h.showLetter(r)
	if err != nil {
		return content{}, err
	}
	if l.Tenant != p.Name {
		return content{}, &failure{status: http.StatusNotFound, key: "error.gone"}
	}
	p.Body = &letterTab{Letter: l, Body: readable(body), May: access.From(r.Context()).May(access.Operate)}
	return contentOf(o, p, w, "letter"), nil
}

// maxShown bounds how much of a body a page shows, in bytes.
const maxShown = 256 << 10

// readable makes text of a body: JSON is set out in lines, what does not print is shown
// as Go would write it, and what is too long is cut.
func readable(body []byte) string {
	var b bytes.Buffer
	if len(body) <= maxShown && json.Indent(&b, body, "", "  ") == nil {
		body = b.Bytes()
	}
	cut := ""
	if len(body) > maxShown {
		body, cut = body[:maxShown], "\n…"
	}
	var out bytes.Buffer
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if out.Len() > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(Plain(string(line)))
	}
	return out.String() + cut
}

// A letterAct is what is to be done, or was, with dead letters.
type letterAct struct {
	Do string // replay or drop
	// IDs are those that were picked; none for all that match.
	IDs          []int64
	Kind, Reason string
	Before       int64
	// Count is how many it is about, Done what came of it; nil before it is confirmed.
	Count int64
	Done  *LettersMoved
	// Back is where the list is.
	Back string
}

// filter returns which letters it is about.
func (a *letterAct) filter(tenant string) LetterFilter {
	if len(a.IDs) > 0 {
		return LetterFilter{Tenant: tenant, IDs: a.IDs}
	}
	return LetterFilter{Tenant: tenant, Kind: a.Kind, Reason: a.Reason, Before: a.Before}
}

// readAct reads what a form asks for.
func readAct(r *http.Request, tenant string) (*letterAct, error) {
	if err := r.ParseForm(); err != nil {
		return nil, &failure{status: http.StatusBadRequest, key: "error.form"}
	}
	a := &letterAct{Do: r.PostForm.Get("do"), Kind: r.PostForm.Get("kind"), Reason: r.PostForm.Get("reason")}
	all := false
	switch a.Do {
	case "replay", "drop":
	case "replay_all", "drop_all":
		a.Do, all = a.Do[:len(a.Do)-len("_all")], true
	default:
		return nil, &failure{status: http.StatusBadRequest, key: "error.form"}
	}
	var err error
	if all {
		a.Before, err = strconv.ParseInt(r.PostForm.Get("newest"), 10, 64)
	}
	for _, text := range r.PostForm["id"] {
		id, perr := strconv.ParseInt(text, 10, 64)
		if !all {
			a.IDs = append(a.IDs, id)
			err = perr
		}
		if err != nil {
			break
		}
	}
	switch {
	case err != nil, all && a.Before < 1: // without a bound it would be about letters that nobody has seen
		return nil, &failure{status: http.StatusBadRequest, key: "error.form"}
	case !all && len(a.IDs) == 0:
		return nil, &failure{status: http.StatusBadRequest, key: "letters.none_picked"}
	}
	a.Back = "/tenants/" + url.PathEscape(tenant) + "/letters"
	return a, nil
}

// buildLetterAct asks back what is to be done with dead letters, and does it when the
// form says that this was confirmed.
func (h *handler) buildLetterAct(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "letters")
	if err != nil {
		return content{}, err
	}
	box, err := h.letters()
	if err != nil {
		return content{}, err
	}
	a, err := readAct(r, p.Name)
	if err != nil {
		return content{}, err
	}
	if a.Count = int64(len(a.IDs)); a.Count == 0 {
		tab := &lettersTab{Kind: a.Kind, Reason: a.Reason}
		tab.choices(p.Letters)
		a.Count = tab.Matching
	}
	if r.PostForm.Get("confirmed") == "yes" {
		if err := h.act(r, box, p.Name, a); err != nil {
			return content{}, err
		}
	}
	p.Body = a
	return contentOf(o, p, w, "letters-act"), nil
}

// act moves dead letters, and writes the audit line of it.
func (h *handler) act(r *http.Request, box LetterBox, tenant string, a *letterAct) error {
	ctx, cancel := context.WithTimeout(r.Context(), moveTimeout)
	defer cancel()
	move := box.Replay
	if a.Do == "drop" {
		move = box.Drop
	}
	done, err := move(ctx, a.filter(tenant))
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	attrs := []slog.Attr{slog.String("tenant", tenant), slog.Int64("moved", done.Moved), slog.Int64("left", done.Left)}
	if len(a.IDs) > 0 {
		attrs = append(attrs, slog.Any("ids", a.IDs))
	} else {
		attrs = append(attrs, slog.String("kind", a.Kind), slog.String("reason", a.Reason), slog.Int64("below_id", a.Before))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	access.Audit(r.Context(), h.logger, "deadletter_"+a.Do, outcome, attrs...)
	if err != nil {
		return fmt.Errorf("%s dead letters: %w", a.Do, err)
	}
	a.Done = &done
	return nil
}
