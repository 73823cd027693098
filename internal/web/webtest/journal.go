package webtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A Journal is a web.Journal in memory. A fault that is set is returned by every method.
type Journal struct {
	mu      sync.Mutex
	at      time.Time
	arrived []web.EventDetail // in the order of their arrival
	runs    []web.Run         // newest first
	batches []web.Delivery    // newest first
	fault   error
}

// kinds are the types that events are made of: how often, and whether a user, a client
// and an outcome belong to them.
var kinds = []struct {
	code, text string
	weight     int
}{
	{"s", "Successful login", 34},
	{"seacft", "Authorization Code for Access Token", 22},
	{"seccft", "Client Credentials for Access Token", 12},
	{"ssa", "Silent authentication", 10},
	{"slo", "User successfully logged out", 6},
	{"fp", "Wrong email or password.", 5},
	{"fu", "Wrong email or password.", 2},
	{"f", "Callback URL mismatch", 1},
	{"ss", "", 2},
	{"sapi", "Update a User", 2},
	{"scp", "You can now login.", 1},
	{"gd_auth_succeed", "Guardian - Second factor authentication succeeded", 2},
	{"limit_wc", "Blocked account", 1},
	{"feacft", "Invalid authorization code", 1},
}

var (
	people  = []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj", "olivia", "peggy", "rupert", "sybil", "trent", "victor", "walter", "yuki.tanaka"}
	clients = [][2]string{{"tGx1exampleWeb", "Storefront"}, {"pQ72exampleApp", "Mobile App"}, {"mM91exampleM2M", "Billing Service"}, {"zZ05exampleAdm", "Back Office"}}
	towns   = [][2]string{{"Berlin", "DE"}, {"Tokyo", "JP"}, {"Lyon", "FR"}, {"Boston", "US"}, {"Leeds", "GB"}, {"São Paulo", "BR"}}
	agents  = []string{"Chrome 131.0.0 / Windows 10", "Mobile Safari 18.1 / iOS 18.1", "Firefox 132.0 / Ubuntu", "okhttp 4.12 / Android 15"}
)

// NewJournal returns a journal with so many events of the day before a time, more of them
// by day than by night, and with an attack on mallory's account two hours before.
func NewJournal(at time.Time, events int) *Journal {
	rnd := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // it makes test data
	j := &Journal{at: at}
	for i := range events {
		share := float64(i) / float64(max(1, events))
		back := time.Duration((1 - share*share) * float64(24*time.Hour)) // ever more towards the end
		if i%9 == 0 && events > 50 {                                     // the attack
			back = 2*time.Hour + time.Duration(rnd.Float64()*float64(15*time.Minute))
		}
		j.arrived = append(j.arrived, invent(rnd, at.Add(-back-time.Second), i, i%9 == 0 && events > 50))
	}
	slices.SortStableFunc(j.arrived, func(a, b web.EventDetail) int { return a.Date.Compare(b.Date) })
	for i := range j.arrived {
		if back := at.Sub(j.arrived[i].Date); back < 40*time.Minute && j.arrived[i].Tenant == Staging {
			wait(&j.arrived[i])
		}
	}
	j.runs, j.batches = inventRuns(at), inventBatches(at)
	return j
}

// wait takes back that an event was delivered.
func wait(e *web.EventDetail) {
	e.State, e.Delivered = web.EventWaiting, time.Time{}
	for i := range e.Stations {
		e.Stations[i].State, e.Stations[i].Delivered, e.Stations[i].Console = web.EventWaiting, time.Time{}, ""
	}
}

// invent makes one event.
func invent(rnd *rand.Rand, at time.Time, i int, attack bool) web.EventDetail {
	kind := kinds[pick(rnd)]
	who, client, town := people[rnd.IntN(len(people))], clients[rnd.IntN(len(clients))], towns[rnd.IntN(len(towns))]
	ip := fmt.Sprintf("192.0.2.%d", 1+rnd.IntN(60))
	if attack {
		kind, who, client, town, ip = kinds[5], "mallory", clients[0], [2]string{"", "RU"}, fmt.Sprintf("203.0.113.%d", 66+rnd.IntN(3))
	}
	tenant := []string{Prod, Prod, Prod, Prod, Staging, Partner}[rnd.IntN(6)]
	at = at.UTC().Truncate(time.Millisecond)
	e := web.Event{
		Tenant: tenant, LogID: fmt.Sprintf("900%s%06d", at.Format("20060102150405"), i), Date: at, Type: kind.code, UserID: fmt.Sprintf("auth0|%016x", hash(who)), UserName: who + "@example.com",
		ClientID: client[0], ClientName: client[1], IP: ip, Connection: "Username-Password-Authentication", Description: kind.text,
		UserAgent: agents[rnd.IntN(len(agents))], City: town[0], Country: town[1], State: web.EventDelivered, Source: "poll", Fetched: at.Add(time.Duration(200+rnd.IntN(1500)) * time.Millisecond),
	}
	if tenant == Prod {
		e.Source = "webhook"
	}
	if kind.code == "seccft" {
		e.UserID, e.UserName, e.UserAgent, e.Connection = "", "", "", ""
	}
	e.Delivered = e.Fetched.Add(time.Duration(80+rnd.IntN(700)) * time.Millisecond)
	station := web.Station{
		Region: "eu-central-1", LogGroup: "/auth0/" + tenant, LogStream: "logs", State: e.State, Delivered: e.Delivered, Timestamp: e.Date, Attempts: 1,
		Console: "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/$252Fauth0$252F" + tenant + "/log-events/logs",
	}
	d := web.EventDetail{Event: e, Stations: []web.Station{station}}
	if i%97 == 13 {
		d.State, d.Reason, d.Delivered = web.EventSkipped, "rule", time.Time{}
		d.Stations = nil
	}
	d.Raw = fmt.Appendf(nil, `{"log_id":%q,"date":%q,"type":%q,"description":%q,"user_id":%q,"user_name":%q,"client_id":%q,"client_name":%q,"ip":%q,"connection":%q,"user_agent":%q,"location_info":{"city_name":%q,"country_code":%q},"isMobile":false}`,
		e.LogID, at.Format("2006-01-02T15:04:05.000Z"), e.Type, e.Description, e.UserID, e.UserName, e.ClientID, e.ClientName, e.IP, e.Connection, e.UserAgent, e.City, e.Country)
	return d
}

// pick chooses a kind by its weight.
func pick(rnd *rand.Rand) int {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := rnd.IntN(sum)
	for i, k := range kinds {
		if n -= k.weight; n < 0 {
			return i
		}
	}
	return 0
}

// hash makes a number out of a name.
func hash(s string) (h uint64) {
	h = 14695981039346656037
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// Fail makes every method fail; nil ends that.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fault = err
}

// Add lets one more event arrive, which differs from the last one in what change does.
func (j *Journal) Add(change func(e *web.EventDetail)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rnd := rand.New(rand.NewPCG(3, uint64(len(j.arrived)))) //nolint:gosec // it makes test data
	e := invent(rnd, j.at, 100_000+len(j.arrived), false)
	if change != nil {
		change(&e)
	}
	j.arrived = append(j.arrived, e)
}

// Search implements web.Journal.
func (j *Journal) Search(_ context.Context, q web.EventQuery) (web.EventPage, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	page := web.EventPage{Latest: strconv.Itoa(len(j.arrived))}
	if j.fault != nil {
		return web.EventPage{}, j.fault
	}
	if len(j.arrived) > 0 {
		page.Oldest = j.arrived[0].Date
	}
	if q.After != "" {
		after, err := strconv.Atoi(q.After)
		if err != nil {
			return web.EventPage{}, fmt.Errorf("read the place: %w", web.ErrBadPlace)
		}
		for i := min(max(after, 0), len(j.arrived)); i < len(j.arrived) && len(page.Events) < q.Limit; i++ {
			page.Latest = strconv.Itoa(i + 1)
			if fits(q, j.arrived[i]) {
				page.Events = append(page.Events, j.arrived[i].Event)
			}
		}
		return page, nil
	}
	list := slices.Clone(j.arrived)
	slices.SortStableFunc(list, func(a, b web.EventDetail) int { return b.Date.Compare(a.Date) })
	from := 0
	if q.From != "" {
		var err error
		if from, err = strconv.Atoi(q.From); err != nil {
			return web.EventPage{}, fmt.Errorf("read the place: %w", web.ErrBadPlace)
		}
	}
	for i := max(0, from); i < len(list); i++ {
		if len(page.Events) == q.Limit {
			page.More = strconv.Itoa(i)
			break
		}
		page.SearchedTo = list[i].Date
		if fits(q, list[i]) {
			page.Events = append(page.Events, list[i].Event)
		}
	}
	return page, nil
}

// fits reports whether a query picks an event.
func fits(q web.EventQuery, e web.EventDetail) bool {
	has := func(part string, in ...string) bool {
		return part == "" || slices.ContainsFunc(in, func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) })
	}
	return (q.Tenant == "" || q.Tenant == e.Tenant) && (len(q.Types) == 0 || slices.Contains(q.Types, e.Type)) && (!q.Failed || failed(e.Type)) &&
		has(q.User, e.UserID, e.UserName) && has(q.Client, e.ClientID, e.ClientName) && has(q.Text, string(e.Raw)) && fitsIP(q.IP, e.IP) &&
		(q.Since.IsZero() || !e.Date.Before(q.Since)) && (q.Until.IsZero() || e.Date.Before(q.Until))
}

// fitsIP reports whether an address is one, begins with it, or lies in a prefix.
func fitsIP(want, have string) bool {
	if prefix, err := netip.ParsePrefix(want); err == nil {
		addr, err := netip.ParseAddr(have)
		return err == nil && prefix.Contains(addr)
	}
	return strings.HasPrefix(have, want)
}

// failed reports whether a type is of the severities warning and above.
func failed(code string) bool { return event.Lookup(code).Severity >= event.Warning }

// Event implements web.Journal.
func (j *Journal) Event(_ context.Context, tenant, logID string) (web.EventDetail, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return web.EventDetail{}, j.fault
	}
	for _, e := range j.arrived {
		if e.Tenant == tenant && e.LogID == logID {
			return e, nil
		}
	}
	return web.EventDetail{}, fmt.Errorf("read the event: %w", web.ErrNotFound)
}

// Activity implements web.Journal.
func (j *Journal) Activity(_ context.Context, q web.ActivityQuery) (web.Activity, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return web.Activity{}, j.fault
	}
	step := max(time.Minute, (q.Until.Sub(q.Since) / 48).Truncate(time.Minute))
	columns := int((q.Until.Sub(q.Since) + step - 1) / step)
	a := web.Activity{Since: q.Since, Until: q.Until, Step: int64(step / time.Second), Failures: make([]int64, columns)}
	cells, types, users, failing, ips, apps := map[string][]int64{}, map[string]*web.Top{}, map[string]*web.Top{}, map[string]*web.Top{}, map[string]*web.Top{}, map[string]*web.Top{}
	for _, e := range j.arrived {
		if !fits(web.EventQuery{Tenant: q.Tenant, Since: q.Since, Until: q.Until}, e) {
			continue
		}
		at, bad := int(e.Date.Sub(q.Since)/step), failed(e.Type)
		a.Total++
		if cells[e.Type] == nil {
			cells[e.Type] = make([]int64, columns)
		}
		cells[e.Type][at]++
		if bad {
			a.Failed++
			a.Failures[at]++
			count(failing, e.UserID, e.UserName, bad)
		}
		count(types, e.Type, event.Lookup(e.Type).Title, bad)
		count(users, e.UserID, e.UserName, bad)
		count(ips, e.IP, "", bad)
		count(apps, e.ClientID, e.ClientName, bad)
	}
	a.Types, a.Users, a.Failing, a.IPs, a.Clients = top(types, q.Top), top(users, q.Top), top(failing, q.Top), top(ips, q.Top), top(apps, q.Top)
	for _, t := range a.Types {
		a.Cells = append(a.Cells, web.Row{Type: t.Value, Counts: cells[t.Value]})
	}
	return a, nil
}

// count counts one more of a value.
func count(in map[string]*web.Top, value, label string, bad bool) {
	if value == "" {
		return
	}
	if in[value] == nil {
		in[value] = &web.Top{Value: value, Label: label}
	}
	in[value].Count++
	if bad {
		in[value].Failed++
	}
}

// top returns the most frequent ones.
func top(in map[string]*web.Top, n int) (list []web.Top) {
	for _, t := range slices.SortedFunc(maps.Values(in), func(a, b *web.Top) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	}) {
		if len(list) < n {
			list = append(list, *t)
		}
	}
	return list
}
