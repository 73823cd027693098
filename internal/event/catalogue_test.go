package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
)

func TestCatalogueHoldsEveryCodeOfTheDataFile(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("gen/event-types.json")
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct{ Code, Title, Category string }
	if err := json.Unmarshal(data, &entries); err != nil {
		t.Fatal(err)
	}
	if len(entries) != 186 || len(event.Types()) != len(entries) {
		t.Errorf("%d codes in the data file and %d in the catalogue, want 186", len(entries), len(event.Types()))
	}
	for _, want := range entries {
		got := event.Lookup(want.Code)
		if !got.Known || got.Code != want.Code || got.Title != want.Title || got.Category != want.Category {
			t.Errorf("Lookup(%q) = %+v, want %+v", want.Code, got, want)
		}
		if got.Title == "" || got.Description == "" || got.Severity.String() == "" {
			t.Errorf("%s lacks a title, a description or a severity: %+v", want.Code, got)
		}
	}
}

func TestCatalogueIsOrderedAndUnique(t *testing.T) {
	t.Parallel()
	types := event.Types()
	byCode := func(a, b event.Type) int { return strings.Compare(a.Code, b.Code) }
	if !slices.IsSortedFunc(types, byCode) {
		t.Error("the catalogue is not in the order of its codes, which Lookup needs")
	}
	if n := len(slices.CompactFunc(types, func(a, b event.Type) bool { return a.Code == b.Code })); n != 186 {
		t.Errorf("%d different codes, want 186", n)
	}
}

func TestTypesReturnsACopy(t *testing.T) {
	t.Parallel()
	event.Types()[0].Code = "overwritten"
	if got := event.Types()[0].Code; got == "overwritten" {
		t.Error("writing to the result changed the catalogue")
	}
}

// The categories are the filter groups that a log stream of Auth0 knows.
func TestCatalogueCategoriesAreThoseOfLogStreams(t *testing.T) {
	t.Parallel()
	known := []string{
		"", "auth.login.fail", "auth.login.notification", "auth.login.success", "auth.logout.fail", "auth.logout.success",
		"auth.signup.fail", "auth.signup.success", "auth.silent_auth.fail", "auth.silent_auth.success",
		"auth.token_exchange.fail", "auth.token_exchange.success", "management.fail", "management.success",
		"scim.event", "system.notification", "user.fail", "user.notification", "user.success", "actions", "other",
	}
	for _, ty := range event.Types() {
		if !slices.Contains(known, ty.Category) {
			t.Errorf("%s: category %q is none of Auth0's", ty.Code, ty.Category)
		}
	}
}

func TestLookupSeverity(t *testing.T) {
	t.Parallel()
	want := map[string]event.Severity{
		// in the catalogue
		"s": event.Info, "ss": event.Info, "seccft": event.Info, "sapi": event.Info, "du": event.Info, "sdu": event.Info,
		"w": event.Warning, "depnote": event.Warning, "limit_sul": event.Warning, "api_limit_warning": event.Warning,
		"f": event.Error, "fp": event.Error, "feccft": event.Error, "pwd_leak": event.Error, "gd_auth_failed": event.Error,
		"api_limit": event.Critical, "fcpro": event.Critical, "limit_wc": event.Critical, "limit_mu": event.Critical,
		// unknown, and judged by the name
		"fnew": event.Error, "wnew": event.Warning, "snew": event.Info, "xnew": event.Info, "": event.Info,
		"brand_new_success": event.Info, "brand_new_failure": event.Error, "brand_new_error": event.Error,
		"access_denied": event.Error, "quota_warning": event.Warning, "limit_new": event.Warning, "ip_blocked": event.Warning,
		"feature_deprecated": event.Warning, "form_started": event.Info, "webhook_sent": event.Info,
	}
	got := make(map[string]event.Severity, len(want))
	for code := range want {
		got[code] = event.Lookup(code).Severity
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("severities (-want +got):\n%s", diff)
	}
}

func TestLookupOfAnUnknownCode(t *testing.T) {
	t.Parallel()
	want := event.Type{Code: "brand_new_failure", Title: "brand_new_failure", Severity: event.Error}
	if diff := cmp.Diff(want, event.Lookup("brand_new_failure")); diff != "" {
		t.Errorf("type (-want +got):\n%s", diff)
	}
}

func TestSeverityNames(t *testing.T) {
	t.Parallel()
	got := []string{event.Info.String(), event.Warning.String(), event.Error.String(), event.Critical.String()}
	if diff := cmp.Diff([]string{"info", "warning", "error", "critical"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestCatalogueIsUpToDate(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the generated catalogue was not checked: install Go, it is not on the PATH")
	}
	out := filepath.Join(t.TempDir(), "catalogue_gen.go")
	cmd := exec.CommandContext(t.Context(), "go", "run", "./gen", "-in", "gen/event-types.json", "-out", out)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("catalogue_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Error("catalogue_gen.go is not what gen makes of gen/event-types.json: run make generate")
	}
}
