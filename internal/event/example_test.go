package event_test

import (
	"fmt"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A record of a log stream comes in an envelope. What counts is the record in
// it, with its spacing and its numbers as Auth0 wrote them.
func ExampleParse() {
	pushed := []byte(`{"log_id":"90020261101","data":{"log_id":"90020261101", "date":"2026-11-01T12:00:00.250Z", "type":"fp", "score":1.50}}`)
	e, err := event.Parse(pushed, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.LogID, e.Type, e.Date.Format(time.RFC3339Nano))
	fmt.Printf("%s\n", e.Raw)
	// Output:
	// 90020261101 fp 2026-11-01T12:00:00.25Z
	// {"log_id":"90020261101", "date":"2026-11-01T12:00:00.250Z", "type":"fp", "score":1.50}
}

// One broken record harms none of its neighbours.
func ExampleParsePage() {
	body := []byte(`[{"log_id":"1","type":"s"}, {"log_id":"2","type":}, {"log_id":"3","type":"f"}]`)
	page, err := event.ParsePage(body, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range page.Events {
		fmt.Println("event", e.LogID)
	}
	for _, u := range page.Unreadable {
		fmt.Println("kept aside:", u.Reason)
	}
	// Output:
	// event 1
	// event 3
	// kept aside: not valid JSON
}

// Auth0 adds codes without notice, so an unknown one is no error.
func ExampleLookup() {
	for _, code := range []string{"fp", "sapi", "passport_check_failed"} {
		t := event.Lookup(code)
		fmt.Printf("%s: %s, %s, known: %v\n", t.Code, t.Title, t.Severity, t.Known)
	}
	// Output:
	// fp: Failed Login (Incorrect Password), error, known: true
	// sapi: Success API Operation, info, known: true
	// passport_check_failed: passport_check_failed, error, known: false
}

// The id of a time serves as a starting point: all later events lie behind it.
func ExampleIDAt() {
	id := event.IDAt(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	t, ok := event.TimeInID(id)
	fmt.Println(id)
	fmt.Println(t, ok)
	// Output:
	// 90020261101120000000000000000000000000000000000000000000
	// 2026-11-01 12:00:00 +0000 UTC true
}
