package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// TestScriptsChooseNoLanguage holds that a page which keeps itself current does not set the
// language that its reader has chosen elsewhere meanwhile.
func TestScriptsChooseNoLanguage(t *testing.T) {
	t.Parallel()
	h := pages(t, webtest.New(now, 10).Options())
	for fragment, want := range map[string]int{"": 1, "live": 0} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?lang=ja", nil)
		r.Header.Set("X-Gapless-Fragment", fragment)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := len(w.Result().Cookies()); got != want || w.Header().Get("Content-Language") != "ja" {
			t.Errorf("fragment %q: %d cookies, want %d, in %s", fragment, got, want, w.Header().Get("Content-Language"))
		}
	}
}
