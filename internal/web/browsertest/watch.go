package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// A watch collects what a page does that it should not.
type watch struct {
	server string

	mu    sync.Mutex
	wrong []string
}

// see takes an event of the tab. It runs in the loop that reads them, so it only notes.
func (w *watch) see(ev any) {
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			w.note("console.%s: %s", e.Type, args(e.Args))
		default: // no complaint
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		w.note("exception that nothing caught: %s", text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			w.note("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !w.own(u) {
			w.note("request to another place: %s %s", e.Request.Method, u)
		}
	case *network.EventWebSocketCreated:
		w.note("web socket to %s", e.URL)
	}
}

// own reports whether an address is of the server under test, or of no server at all.
func (w *watch) own(url string) bool {
	return url == w.server || strings.HasPrefix(url, w.server+"/") ||
		slices.ContainsFunc([]string{"data:", "blob:" + w.server, "about:"}, func(p string) bool { return strings.HasPrefix(url, p) })
}

// note keeps a complaint.
func (w *watch) note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, a...))
}

// take returns the complaints and forgets them.
func (w *watch) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrong := w.wrong
	w.wrong = nil
	return wrong
}

// args writes what was given to a call of the console.
func args(objects []*runtime.RemoteObject) string {
	var words []string
	for _, o := range objects {
		if o.Value != nil {
			words = append(words, string(o.Value))
		} else {
			words = append(words, o.Description)
		}
	}
	return strings.Join(words, " ")
}
