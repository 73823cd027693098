package app_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// onPut makes a fault of PutLogEvents.
func onPut(f emulator.Fault) func(*stage) {
	f.Match, f.Times = "PutLogEvents", -1
	return func(s *stage) { s.aws.Add(f) }
}

// onAll makes a fault of all of CloudWatch Logs.
func onAll(f emulator.Fault) func(*stage) {
	strike := onAWS(f)
	return func(s *stage) { strike(s.site) }
}

// putHazards are answers of CloudWatch Logs that it is known to give, and those of
// a network in trouble.
func putHazards() map[string]hazard {
	return map[string]hazard{
		"put: throttled":         {told: "delivery throttled ThrottlingException", strike: onAll(awsError(400, "ThrottlingException"))},
		"put: 429 without words": {told: "delivery throttled 429", strike: onPut(emulator.Fault{Status: 429})},
		"put: 500":               {told: "delivery transient InternalFailure", strike: onAll(awsError(500, "InternalFailure"))},
		"put: 502 with HTML":     {told: "delivery transient HTTP 502", strike: onAll(emulator.Fault{Status: 502, Body: "<html>bad gateway</html>"})},
		"put: 503":               {told: "delivery transient ServiceUnavailableException", strike: onAll(awsError(503, "ServiceUnavailableException"))},
		"put: access denied": {
			slow: true, told: "delivery unauthorized Allow logs:PutLogEvents on arn:aws:logs",
			strike: onPut(awsError(400, "AccessDeniedException")),
		},
		"put: expired keys":     {slow: true, told: "delivery unauthorized The session token has ended", strike: onAll(awsError(400, "ExpiredTokenException"))},
		"put: wrong secret key": {slow: true, told: "delivery unauthorized Check AWS_SECRET_ACCESS_KEY", strike: onAll(awsError(403, "InvalidSignatureException"))},
		"put: unknown key":      {slow: true, told: "delivery unauthorized Check the access key", strike: onAll(awsError(400, "UnrecognizedClientException"))},
		"put: quota used up":    {slow: true, told: "delivery unauthorized Service Quotas", strike: onAll(awsError(400, "LimitExceededException"))},
		"put: hangs":            {told: "delivery transient no answer in time", strike: onAll(emulator.Fault{Kind: emulator.FaultHang})},
		"put: cut off":          {told: "delivery transient the connection was closed", strike: onAll(emulator.Fault{Kind: emulator.FaultCut})},
		"put: slow":             {strike: onPut(emulator.Fault{Kind: emulator.FaultDelay, Delay: 25 * time.Second})},
		"put: answers lost":     {strike: onPut(emulator.Fault{Kind: emulator.FaultLost})},
		"put: group not found":  {told: "delivery transient ResourceNotFoundException", strike: onPut(awsError(400, "ResourceNotFoundException"))},
		"put: answers lost, and then an outage": {
			told: "delivery transient no answer in time", lasts: 40*time.Minute + 7*time.Second,
			strike: func(s *stage) {
				s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: 2, Kind: emulator.FaultLost})
				onAll(emulator.Fault{Kind: emulator.FaultHang})(s)
			},
		},
		"put: answers lost, and reads fail for an hour": {
			lasts: 70 * time.Minute, told: "delivery transient InternalFailure",
			strike: func(s *stage) {
				s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: 1, Kind: emulator.FaultLost})
				onAll(awsError(500, "InternalFailure"))(s)
			},
		},
	}
}

// oddPutHazards are answers of CloudWatch Logs that are none.
func oddPutHazards() map[string]hazard {
	answer := func(status int, body string) func(*stage) {
		return onAll(emulator.Fault{Status: status, Body: body, Header: map[string]string{"Content-Type": "application/x-amz-json-1.1"}})
	}
	// What rejects says of events that were stored.
	rejects := func(info string) func(*stage) {
		return func(s *stage) {
			s.toAWS.meddle(rewriter{"PutLogEvents", func(http.Header, []byte) []byte { return []byte(`{"rejectedLogEventsInfo":` + info + `}`) }}.pass)
		}
	}
	return map[string]hazard{
		"put: 200 with HTML":       {told: "delivery transient a proxy may stand between", strike: onAll(emulator.Fault{Status: 200, Body: "<html>sign in here</html>"})},
		"put: 200 with nothing":    {told: "delivery transient a proxy may stand between", strike: answer(200, "")},
		"put: 200 with `null`":     {told: "delivery transient a proxy may stand between", strike: answer(200, "null")},
		"put: 200 with half of it": {told: "delivery transient the connection was closed", strike: onAll(emulator.Fault{Kind: emulator.FaultTruncate})},
		"put: 200 with garbage":    {told: "delivery transient a proxy may stand between", strike: onAll(emulator.Fault{Kind: emulator.FaultGarbage})},
		"put: 204":                 {told: "delivery transient a proxy may stand between", strike: answer(204, "")},
		"put: a redirect":          {told: "delivery transient HTTP 302 without an error of AWS", strike: onAll(emulator.Fault{Status: 302, Header: map[string]string{"Location": "https://elsewhere.example.com/login"}})},
		"put: 413 for everything":  {slow: true, told: "delivery misconfigured check log_group", strike: onPut(emulator.Fault{Status: 413})},
		"put: 413 for large bodies": {
			early: true, // while the history goes in large batches
			strike: func(s *stage) {
				s.toAWS.meddle(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					if r.ContentLength > 12_000 {
						return reply(r, http.StatusRequestEntityTooLarge, "<html>too large</html>"), r.Body.Close()
					}
					return next.RoundTrip(r)
				})
			},
		},
		"put: an unknown error":             {told: "delivery transient SomethingNewException", strike: onAll(awsError(400, "SomethingNewException"))},
		"put: invalid sequence token":       {told: "delivery transient InvalidSequenceTokenException", strike: onPut(awsError(400, "InvalidSequenceTokenException"))},
		"put: already accepted, it says":    {told: "delivery transient DataAlreadyAcceptedException", strike: onPut(awsError(400, "DataAlreadyAcceptedException"))},
		"put: already accepted":             {strike: func(s *stage) { s.toAWS.meddle(alreadyAccepted) }},
		"put: rejects more than there are":  {strike: rejects(`{"tooOldLogEventEndIndex":40000}`)},
		"put: rejects from below nothing":   {strike: rejects(`{"tooNewLogEventStartIndex":-1}`)},
		"put: rejects the same event twice": {strike: rejects(`{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":1,"tooNewLogEventStartIndex":0}`)},
		"put: clock five hours fast": {strike: func(s *stage) {
			s.toAWS.meddle(rewriter{"", func(h http.Header, body []byte) []byte {
				h.Set("Date", time.Now().Add(5*time.Hour).UTC().Format(http.TimeFormat))
				return body
			}}.pass)
		}},
	}
}

// alreadyAccepted does what it is asked and says that it was done before.
func alreadyAccepted(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusOK && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutLogEvents") {
		return reply(r, http.StatusBadRequest, `{"__type":"DataAlreadyAcceptedException"}`), resp.Body.Close()
	}
	return resp, err
}
