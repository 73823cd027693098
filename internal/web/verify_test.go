package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/web"
	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// TestVerificationIsShown shows the last scheduled verification, whatever became of it, on
// the card of the overview and on the page of the tenant, in both languages.
func TestVerificationIsShown(t *testing.T) {
	t.Parallel()
	ended := now.Add(-time.Hour)
	for name, c := range map[string]struct {
		v           web.Verify
		badge, ja   string
		tenant, not string
	}{
		"not yet": {web.Verify{Next: now.Add(time.Hour)}, "not yet", "未実施", "2026-", "events compared"},
		"clean":   {web.Verify{Ended: ended, Clean: true, Held: 4321}, `good">clean`, "問題なし", "4,321", "bad-text"},
		"unclean": {web.Verify{Ended: ended, Held: 4321, Found: map[string]int64{"missing": 7, "twice": 0}, Repaired: 2, Hint: "gapless backfill <now>"}, `bad">not clean`, "不一致あり", "<b>7</b> missing", "there twice"},
		"failed":  {web.Verify{Ended: ended, Error: "no <way>", Hint: "wait"}, `warn">failed`, "失敗", "no &lt;way&gt;", "events compared"},
		"refused": {web.Verify{Ended: ended, Error: "no", Refused: "logs:FilterLogEvents", Hint: "Allow logs:FilterLogEvents"}, `idle">not allowed to read`, "読み取り権限なし", "Allow logs:FilterLogEvents", "events compared"},
	} {
		h := serve(t, webtest.New(now, 500), func(o *web.Options) {
			status := o.Status
			o.Status = func(ctx context.Context) (web.Overview, error) {
				x, err := status(ctx)
				for i := range x.Tenants {
					x.Tenants[i].Verify = &c.v
				}
				return x, err
			}
		})
		for _, path := range []string{"/", "/tenants/acme-prod"} {
			page := browse(h, "GET", path, nil).Body.String()
			obeys(t, page)
			if !strings.Contains(page, c.badge) {
				t.Errorf("%s: %s lacks %q", name, path, c.badge)
			}
			if japanese := browse(h, "GET", path, nil, "Accept-Language", "ja").Body.String(); !strings.Contains(japanese, c.ja) {
				t.Errorf("%s: %s in Japanese lacks %q", name, path, c.ja)
			}
		}
		page := browse(h, "GET", "/tenants/acme-prod", nil).Body.String()
		_, section, _ := strings.Cut(page, `aria-labelledby="verify"`)
		section, _, _ = strings.Cut(section, "</section>")
		if !strings.Contains(section, c.tenant) || strings.Contains(section, c.not) {
			t.Errorf("%s: the page of the tenant:\n%s", name, section)
		}
	}
}
