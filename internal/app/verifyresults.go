package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
	"github.com/gaplesslogs/gapless/internal/web"
)

const (
	// verifyKey is the key under which the results of a tenant are kept, and lastVerifyKey
	// that of the last one, without its findings: it is read again and again.
	verifyKey     = "verify/results"
	lastVerifyKey = "verify/last"
	// verifiesKept is how many results of a tenant are kept.
	verifiesKept = 30
	// findingsKept is how many findings of a result are kept, of those that a person
	// should look at.
	findingsKept = 20
)

// A VerifyResult is what became of a scheduled verification.
type VerifyResult struct {
	Tenant string `json:"tenant"`
	// Due is when it should have begun, Began and Ended when it did.
	Due   time.Time `json:"due"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Since and Until are the span; of what was before ProvedSince nothing can be proved.
	Since       time.Time `json:"since,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	ProvedSince time.Time `json:"proved_since,omitzero"`
	// Clean says that nothing was found that a person should look at. It is false too
	// when Error says why it could not be found out.
	Clean bool `json:"clean"`
	// Held is how many events Auth0 holds, and Found what was found by kind, in all
	// destinations together.
	Held  int64            `json:"held"`
	Found map[string]int64 `json:"found"`
	// Repaired is how many events were stored because they were missing; what is said
	// beside it is of the comparison after that.
	Repaired int64 `json:"repaired,omitempty"`
	// Findings are the first that a person should look at.
	Findings []verify.Finding `json:"findings,omitempty"`
	// From is where the next one begins at the latest: where the last one that could
	// compare has ended, or before the oldest event that is missing.
	From  time.Time `json:"from,omitzero"`
	Error string    `json:"error,omitempty"`
	// Refused is the action of AWS that is not allowed, where that is the Error.
	Refused string `json:"refused,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// VerifyResults returns the results of scheduled verifications that are kept of a
// tenant, or of all when it is empty, the oldest first of each. It reads beside a
// process that works.
func VerifyResults(ctx context.Context, cfg *config.Config, tenant string) (list []VerifyResult, err error) {
	r, err := store.OpenReadOnly(ctx, cfg.DataDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	saved, err := r.SavedUnder(ctx, verifyKey)
	if err != nil {
		return nil, err
	}
	for _, v := range saved {
		var of []VerifyResult
		if err := json.Unmarshal(v.Value, &of); err != nil {
			return nil, fmt.Errorf("read the results of verifications: %w", err)
		}
		list = append(list, slices.DeleteFunc(of, func(x VerifyResult) bool { return tenant != "" && x.Tenant != tenant })...)
	}
	return list, nil
}

// lastVerifies reads the last result of each tenant, by its name. One that has not Ended
// marks when the schedule began.
func lastVerifies(ctx context.Context, r *store.Reader) (map[string]*VerifyResult, error) {
	saved, err := r.SavedUnder(ctx, lastVerifyKey)
	if err != nil {
		return nil, fmt.Errorf("read the results of verifications: %w", err)
	}
	last := make(map[string]*VerifyResult)
	for _, v := range saved {
		x := &VerifyResult{}
		if err := json.Unmarshal(v.Value, x); err != nil {
			return nil, fmt.Errorf("read the results of verifications: %w", err)
		}
		last[x.Tenant] = x
	}
	return last, nil
}

// keepLastVerify keeps the last result of a tenant.
func keepLastVerify(ctx context.Context, b *store.Buffer, x VerifyResult) error {
	x.Findings = nil
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return b.Save(ctx, lastVerifyKey, text)
}

// keepVerify keeps a result, and forgets the oldest.
func keepVerify(ctx context.Context, b *store.Buffer, x VerifyResult) error {
	text, err := b.Load(ctx, verifyKey)
	if err != nil {
		return err
	}
	var list []VerifyResult
	if text != nil {
		if err := json.Unmarshal(text, &list); err != nil {
			list = nil // it is replaced
		}
	}
	if list = append(list, x); len(list) > verifiesKept {
		list = slices.Clone(list[len(list)-verifiesKept:])
	}
	if text, err = json.Marshal(list); err != nil {
		return err
	}
	if err := b.Save(ctx, verifyKey, text); err != nil {
		return err
	}
	return keepLastVerify(ctx, b, x)
}

// viewVerify tells of the scheduled verifications of a tenant; nil where there are none.
func viewVerify(last *VerifyResult, cfg *config.Config, t *config.Tenant, now time.Time) *web.Verify {
	s, err := config.ParseSchedule(cfg.Verify)
	ran := last != nil && !last.Ended.IsZero()
	if err != nil || !t.Polls() || s.Off && !ran {
		return nil
	}
	v := &web.Verify{Found: map[string]int64{}}
	if !s.Off {
		v.Next = nextVerify(s, cfg.Verify.Jitter, t.Name, last, now)
	}
	if !ran {
		return v
	}
	v.Refused = last.Refused
	v.Ended, v.Since, v.Until, v.ProvedSince = last.Ended, last.Since, last.Until, last.ProvedSince
	v.Clean, v.Held, v.Repaired, v.Error, v.Hint = last.Clean, last.Held, last.Repaired, last.Error, last.Hint
	maps.Copy(v.Found, last.Found)
	if !v.Clean && (v.Error == "" || v.Refused != "") {
		v.Hint = verifyHint(last)
	}
	return v
}

// verifyHint says what to do about a result that is not clean.
func verifyHint(x *VerifyResult) string {
	again := fmt.Sprintf("gapless verify --tenant %s --since %s --until %s", x.Tenant, x.Since.UTC().Format(time.RFC3339), x.Until.UTC().Format(time.RFC3339))
	switch {
	case x.Refused != "":
		return x.Hint + " `gapless setup` puts it into the policy. Without it set verify.schedule: off; gapless verify can be run with other credentials."
	case x.Found[string(verify.Missing)] > 0:
		return fmt.Sprintf("gapless backfill --tenant %s --since %s --until %s delivers what is missing; %s names it.", x.Tenant,
			x.Since.UTC().Format(time.RFC3339), x.Until.UTC().Format(time.RFC3339), again)
	case x.Found[string(verify.DeadLetter)] > 0:
		return "gapless deadletter list --tenant " + x.Tenant
	default:
		return again + " names what was found; docs/verify.md says what each kind means."
	}
}
