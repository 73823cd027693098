package source_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

// TestTokensRotate changes the tokens of a webhook that runs: the new ones open it,
// those before do not any more, and tokens that cannot work change nothing.
func TestTokensRotate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		runWebhook(t, w, new(pipelinetest.Pages))
		try := func(token string, want int) {
			t.Helper()
			r := push(t.Context(), strings.NewReader(pushed(1)))
			r.Header.Set("Authorization", token)
			if got := ask(w, r).Code; got != want {
				t.Errorf("a request with %s: status %d, want %d", token, got, want)
			}
		}
		try(webhookToken, http.StatusOK)
		if err := w.SetTokens([]string{webhookToken, "the-next-token"}); err != nil {
			t.Fatal(err)
		}
		try(webhookToken, http.StatusOK)
		try("Bearer the-next-token", http.StatusOK)
		if err := w.SetTokens([]string{"the-next-token"}); err != nil {
			t.Fatal(err)
		}
		try(webhookToken, http.StatusUnauthorized)
		for _, bad := range [][]string{nil, {""}, {" token"}, {"token", "with a break\n"}} {
			if w.SetTokens(bad) == nil {
				t.Errorf("tokens %q were taken", bad)
			}
		}
		try("the-next-token", http.StatusOK)
	})
}
