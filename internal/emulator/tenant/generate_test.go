package tenant_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// traffic returns n events, 50 ms apart.
func traffic(tb testing.TB, opts tenant.GeneratorOptions, n int) [][]byte {
	tb.Helper()
	g, err := tenant.NewGenerator(opts)
	if err != nil {
		tb.Fatal(err)
	}
	list := make([][]byte, n)
	for i := range list {
		list[i] = g.Next(noon.Add(time.Duration(i) * 50 * time.Millisecond))
	}
	return list
}

func TestEventsAreValidAndAscend(t *testing.T) {
	t.Parallel()
	last := ""
	for i, raw := range traffic(t, tenant.GeneratorOptions{Seed: 1, Quirks: 0.2}, 5000) {
		if !json.Valid(raw) || bytes.ContainsAny(raw, "\n\t") {
			t.Fatalf("event %d is no compact JSON: %s", i, raw)
		}
		ev, err := event.Parse(raw, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		stored, ok := event.TimeInID(ev.LogID)
		delay := stored.Sub(ev.Date)
		if !ok || delay < 10*time.Millisecond || delay > 5*time.Second {
			t.Errorf("event %d: stored %v after its date: %s %s", i, delay, ev.LogID, ev.Date)
		}
		if ev.LogID <= last || gjson.GetBytes(raw, "_id").String() != ev.LogID {
			t.Errorf("event %d: log_id %s after %s, _id %s", i, ev.LogID, last, gjson.GetBytes(raw, "_id"))
		}
		if ev.DateFrom != event.DateFromField {
			t.Errorf("event %d has no date: %s", i, raw)
		}
		last = ev.LogID
	}
}

// Real events are out of the order of their dates now and then, and several
// share the time in the id.
func TestOrderIsAsUntidyAsInReality(t *testing.T) {
	t.Parallel()
	var inverted, shared int
	var before event.Event
	list := traffic(t, tenant.GeneratorOptions{Seed: 1}, 5000)
	for _, raw := range list {
		ev, err := event.Parse(raw, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if ev.Date.Before(before.Date) {
			inverted++
		}
		if before.LogID != "" && ev.LogID[:23] == before.LogID[:23] {
			shared++
		}
		before = ev
	}
	if inverted < len(list)/100 || inverted > len(list)/4 {
		t.Errorf("%d of %d neighbours are inverted", inverted, len(list))
	}
	if shared < len(list)/20 {
		t.Errorf("%d of %d neighbours share the time in the id", shared, len(list))
	}
}

// Auth0 checks passwords of its own databases alone, and a user's id tells where
// the user comes from.
func TestEventsFitTheirConnection(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for _, raw := range traffic(t, tenant.GeneratorOptions{Seed: 6, Quirks: -1}, 10_000) {
		e := gjson.ParseBytes(raw)
		code, strategy, kind := e.Get("type").Str, e.Get("strategy").Str, e.Get("strategy_type").Str
		switch code {
		case "fp", "fu", "limit_wc", "pwd_leak", "scp", "fs":
			if kind != "database" {
				t.Errorf("%s of a %s connection: %s", code, kind, raw)
			}
			seen[code]++
		case "s", "cls":
			if id := e.Get("user_id").Str; !strings.HasPrefix(id, strategy+"|") {
				t.Errorf("user %s by %s", id, strategy)
			}
			seen[code+" "+kind]++
		}
	}
	want := []string{
		"cls passwordless", "fp", "fs", "fu", "limit_wc", "pwd_leak",
		"s database", "s enterprise", "s passwordless", "s social", "scp",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("cases that occurred (-want +got):\n%s", diff)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		opts := tenant.GeneratorOptions{
			Seed: rapid.Uint64().Draw(t, "seed"), Tenant: "a-tenant", MeanSize: rapid.SampledFrom([]int{0, 1500}).Draw(t, "mean"),
		}
		n := rapid.IntRange(1, 60).Draw(t, "n")
		var runs [2][]string
		for i := range runs {
			g, err := tenant.NewGenerator(opts)
			if err != nil {
				t.Fatal(err)
			}
			for j := range n {
				runs[i] = append(runs[i], string(g.Next(noon.Add(time.Duration(j)*time.Second))))
			}
		}
		if diff := cmp.Diff(runs[0], runs[1]); diff != "" {
			t.Errorf("two runs differ:\n%s", diff)
		}
	})
}

func TestSeedsDiffer(t *testing.T) {
	t.Parallel()
	a, b := traffic(t, tenant.GeneratorOptions{Seed: 1}, 10), traffic(t, tenant.GeneratorOptions{Seed: 2}, 10)
	if cmp.Equal(a, b) {
		t.Error("two seeds give the same traffic")
	}
}

func TestEachTypeCoversTheCatalogue(t *testing.T) {
	t.Parallel()
	g, err := tenant.NewGenerator(tenant.GeneratorOptions{Quirks: -1})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, raw := range g.EachType(noon) {
		if !json.Valid(raw) {
			t.Errorf("not JSON: %s", raw)
		}
		got = append(got, gjson.GetBytes(raw, "type").String())
	}
	for _, ty := range event.Types() {
		want = append(want, ty.Code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func TestTrafficHoldsEveryType(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for _, raw := range traffic(t, tenant.GeneratorOptions{Seed: 3}, 30_000) {
		seen[gjson.GetBytes(raw, "type").String()]++
	}
	for _, ty := range event.Types() {
		if seen[ty.Code] == 0 {
			t.Errorf("%s never occurs", ty.Code)
		}
		delete(seen, ty.Code)
	}
	if len(seen) != 1 || seen["brand_new_code"] == 0 {
		t.Errorf("codes outside of the catalogue: %v, want brand_new_code alone", seen)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mean, low, high int
	}{
		"as it comes": {mean: 0, low: 1050, high: 1350},
		"steered":     {mean: 1500, low: 1470, high: 1530},
		"large":       {mean: 2000, low: 1950, high: 2050},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sizes []int
			sum := 0
			for _, raw := range traffic(t, tenant.GeneratorOptions{Seed: 5, MeanSize: tc.mean}, 20_000) {
				sizes = append(sizes, len(raw))
				sum += len(raw)
			}
			slices.Sort(sizes)
			mean, median := sum/len(sizes), sizes[len(sizes)/2]
			if mean < tc.low || mean > tc.high || median < 900 || median > 1100 {
				t.Errorf("mean %d, median %d; want %d to %d and about 1,000", mean, median, tc.low, tc.high)
			}
			if largest := sizes[len(sizes)-1]; largest < 5000 || largest > 64_000 {
				t.Errorf("the largest event has %d bytes", largest)
			}
		})
	}
}

var (
	addressForm = regexp.MustCompile(`[0-9A-Za-z._%+-]+@[0-9A-Za-z.-]+`)
	urlForm     = regexp.MustCompile(`https?://([^/"'\\ ]+)`)
	ipForm      = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$|^[0-9a-f]*:[0-9a-f:]+$`)
)

// Nothing generated belongs to anybody: addresses are of the domains and ranges
// that are set aside for documentation.
func TestTrafficIsNobodys(t *testing.T) {
	t.Parallel()
	g, err := tenant.NewGenerator(tenant.GeneratorOptions{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	list := append(g.EachType(noon), traffic(t, tenant.GeneratorOptions{Seed: 9}, 3000)...)
	hosts := []string{"dev-tenant.us.auth0.com", "manage.auth0.com", "schemas.openid.net"}
	for _, raw := range list {
		for _, a := range addressForm.FindAllString(string(raw), -1) {
			if !strings.HasSuffix(a, "@example.com") && !strings.HasSuffix(a, "@example.org") {
				t.Fatalf("e-mail address %s in %s", a, raw)
			}
		}
		for _, m := range urlForm.FindAllStringSubmatch(string(raw), -1) {
			if !slices.Contains(hosts, m[1]) && !regexp.MustCompile(`(^|\.)example\.(com|org|net)$`).MatchString(m[1]) {
				t.Fatalf("host %s in %s", m[1], raw)
			}
		}
		checkAddresses(t, gjson.ParseBytes(raw))
	}
}

// checkAddresses looks at every value that has the form of an IP address.
func checkAddresses(t *testing.T, v gjson.Result) {
	t.Helper()
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(_, value gjson.Result) bool {
			checkAddresses(t, value)
			return true
		})
		return
	}
	if v.Type != gjson.String || !ipForm.MatchString(v.Str) {
		return
	}
	ip, err := netip.ParseAddr(v.Str)
	if err != nil {
		t.Fatalf("%q: %v", v.Str, err)
	}
	for _, r := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		if netip.MustParsePrefix(r).Contains(ip) {
			return
		}
	}
	t.Fatalf("address %s is not one for documentation", ip)
}

// The quirks that section by section exporters have stumbled over.
func TestQuirksOccur(t *testing.T) {
	t.Parallel()
	var nullText, noText, nullClient, listScope, noDetails, numberName, numberIdentity, unicode, unknown bool
	for _, raw := range traffic(t, tenant.GeneratorOptions{Seed: 2}, 30_000) {
		v := gjson.ParseBytes(raw)
		nullText = nullText || v.Get("description").Type == gjson.Null && v.Get("description").Exists()
		noText = noText || !v.Get("description").Exists()
		nullClient = nullClient || v.Get("client_id").Raw == "null"
		listScope = listScope || v.Get("scope").IsArray()
		noDetails = noDetails || !v.Get("details").Exists() && v.Get("type").Str == "s"
		numberName = numberName || v.Get("user_name").Type == gjson.Number
		numberIdentity = numberIdentity || v.Get("details.prompts.0.identity").Type == gjson.Number
		unicode = unicode || strings.Contains(v.Get("user_name").Str, "ユーザー")
		unknown = unknown || !event.Lookup(v.Get("type").Str).Known
	}
	got := []bool{nullText, noText, nullClient, listScope, noDetails, numberName, numberIdentity, unicode, unknown}
	if slices.Contains(got, false) {
		t.Errorf("quirks that occur: %v", got)
	}
}

func TestNoQuirks(t *testing.T) {
	t.Parallel()
	for _, raw := range traffic(t, tenant.GeneratorOptions{Seed: 2, Quirks: -1}, 5000) {
		if code := gjson.GetBytes(raw, "type").Str; !event.Lookup(code).Known || !gjson.GetBytes(raw, "description").Exists() {
			t.Fatalf("a quirk in %s", raw)
		}
	}
}

// The members stand in the orders in which Auth0 writes them.
func TestOrderOfMembers(t *testing.T) {
	t.Parallel()
	orders := make(map[string]int)
	for _, raw := range traffic(t, tenant.GeneratorOptions{Quirks: -1}, 2000) {
		v := gjson.ParseBytes(raw)
		if v.Get("type").Str != "fu" {
			continue
		}
		var keys []string
		v.ForEach(func(k, _ gjson.Result) bool { keys = append(keys, k.Str); return true })
		orders[strings.Join(keys, ",")]++
	}
	for _, want := range []string{
		"date,type,description,connection,connection_id,client_id,client_name,ip,user_agent,details,user_id,user_name," +
			"strategy,strategy_type,$event_schema,log_id,tenant_name,environment_name,_id,isMobile",
		"$event_schema,_id,client_id,client_name,connection,connection_id,date,description,details,environment_name,ip,isMobile," +
			"log_id,strategy,strategy_type,tenant_name,type,user_agent,user_id,user_name",
	} {
		if orders[want] == 0 {
			t.Errorf("no event has the order %s", want)
		}
	}
}

func BenchmarkGenerator(b *testing.B) {
	g, err := tenant.NewGenerator(tenant.GeneratorOptions{MeanSize: 1500})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	at := noon
	for b.Loop() {
		at = at.Add(time.Millisecond)
		b.SetBytes(int64(len(g.Next(at))))
	}
}
