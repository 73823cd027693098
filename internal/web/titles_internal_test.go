package web

import (
	"testing"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/event"
)

// TestEveryTypeHasAJapaneseTitle holds that the table of titles covers the catalogue, no
// more and no less, with Japanese.
func TestEveryTypeHasAJapaneseTitle(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, typ := range event.Types() {
		known[typ.Code] = true
		title := titleIn("ja", typ.Code)
		japanese := false
		for _, r := range title {
			japanese = japanese || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
		}
		if !japanese {
			t.Errorf("the Japanese title of %s (%s) is %q", typ.Code, typ.Title, title)
		}
		if got := titleIn("en", typ.Code); got != typ.Title {
			t.Errorf("the English title of %s is %q, want Auth0's %q", typ.Code, got, typ.Title)
		}
	}
	for code := range titlesJA {
		if !known[code] {
			t.Errorf("there is a Japanese title of %q, which no event type is", code)
		}
	}
	if got := titleIn("ja", "brand_new"); got != "brand_new" {
		t.Errorf("an unknown type is called %q, want its code", got)
	}
}
