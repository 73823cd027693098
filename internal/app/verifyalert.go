package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// partSchedule is the part of the alert that a verification cannot be done; what one has
// found has no part.
const partSchedule = "schedule"

// alert raises and ends the alerts of a tenant's verifications. One that could not compare
// ends nothing: what was found before it may still be so.
func (v *verifies) alert(x *VerifyResult) {
	f := notify.Finding{Kind: notify.KindVerify, Tenant: x.Tenant, Hint: verifyHint(x)}
	switch {
	case x.Refused != "":
		f.Part, f.Severity = partSchedule, notify.Info
		f.Message = "the scheduled verification cannot compare: " + x.Refused + " is not allowed. The export needs no such permission and goes on"
	case x.Error != "":
		f.Part, f.Severity, f.Hint = partSchedule, notify.Warning, x.Hint
		f.Message = "the scheduled verification has failed: " + x.Error
	case x.Clean:
		v.app.ClearAlert(notify.KindVerify, x.Tenant, "")
		v.app.ClearAlert(notify.KindVerify, x.Tenant, partSchedule)
		return
	default:
		v.app.ClearAlert(notify.KindVerify, x.Tenant, partSchedule)
		f.Message = fmt.Sprintf("Auth0 and the destination differ from %s to %s: %s", x.Since.Format(time.RFC3339), x.Until.Format(time.RFC3339), uncleanOf(x))
	}
	v.app.RaiseAlert(f)
}

// uncleanOf lists what was found that a person should look at.
func uncleanOf(x *VerifyResult) string {
	var found []string
	for _, kind := range verify.Kinds() {
		if n := x.Found[string(kind)]; n > 0 && kind.Unclean() {
			found = append(found, fmt.Sprintf("%d %s", n, kind))
		}
	}
	return strings.Join(found, ", ")
}

// forgetAlerts ends the alerts of tenants that are verified no more.
func (v *verifies) forgetAlerts(cfg *config.Config, off bool) {
	if v.app.alerts == nil {
		return
	}
	for _, a := range v.app.alerts.manager.Alerts() {
		verified := slices.ContainsFunc(cfg.Tenants, func(t config.Tenant) bool { return t.Name == a.Tenant && t.Polls() })
		if a.Kind == notify.KindVerify && a.Ended.IsZero() && (off || !verified) {
			v.app.ClearAlert(a.Kind, a.Tenant, a.Part)
		}
	}
}
