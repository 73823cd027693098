package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WebhookSchema names the form of a webhook's body. Members may be added to it; another
// name would come with a change of those that are there.
const WebhookSchema = "gapless.notify/1"

// SignatureHeader holds the signature of a body: t=SECONDS,v1=HEX, where HEX is the
// HMAC-SHA256 of the text "SECONDS.BODY".
const SignatureHeader = "Gapless-Signature"

// A Webhook tells any server, in JSON.
type Webhook struct {
	// URL is where to, and a secret.
	URL Secret
	// Key signs the body; nil leaves it unsigned.
	Key     Secret
	Headers []Header
	Client  *http.Client
	Agent   string
}

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(webhookBody(m))
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return w.request(m, body).send(ctx)
}

// Ready reports whether there are a URL to send to, a key and the headers.
func (w *Webhook) Ready(ctx context.Context) error { return w.request(Message{}, nil).ready(ctx) }

// request is the call that sends a body.
func (w *Webhook) request(m Message, body []byte) request {
	r := request{
		client: w.Client, method: http.MethodPost, url: w.URL, headers: w.Headers, body: body, agent: w.Agent,
		plain: http.Header{"Content-Type": {"application/json"}, "Gapless-About": {m.About}, "Gapless-Delivery": {m.ID}},
	}
	if w.Key != nil {
		r.sign = func(ctx context.Context, h http.Header) error {
			key, err := w.Key(ctx)
			if err != nil {
				return err
			}
			h.Set(SignatureHeader, Sign(key, time.Now(), body))
			return nil
		}
	}
	return r
}

// Sign returns the value of SignatureHeader for a body that is sent at a time.
func Sign(key string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(digest(key, t, body))
}

// digest is the HMAC of a time and a body.
func digest(key, t string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(t + "."))
	h.Write(body)
	return h.Sum(nil)
}

// The errors of Verify.
var (
	// ErrSignature says that a signature is not that of the body by the key.
	ErrSignature = errors.New("the signature is not of this body and key")
	// ErrOld says that a body was signed too long ago, or lies in the future.
	ErrOld = errors.New("the body was signed at another time")
)

// Verify is what a receiver does: it checks the value of SignatureHeader, and that the
// body was signed within a time of now.
func Verify(key, header string, body []byte, now time.Time, within time.Duration) error {
	var t, v1 string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			t = value
		case "v1":
			v1 = value
		}
	}
	got, err := hex.DecodeString(v1)
	if err != nil || t == "" || !hmac.Equal(got, digest(key, t, body)) {
		return ErrSignature
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if age := now.Sub(time.Unix(seconds, 0)); err != nil || age > within || age < -within {
		return ErrOld
	}
	return nil
}

// A webhookMessage is the body of a request.
type webhookMessage struct {
	Schema   string         `json:"schema"`
	ID       string         `json:"id"`
	About    string         `json:"about"`
	At       time.Time      `json:"at"`
	Instance string         `json:"instance,omitempty"`
	Version  string         `json:"version"`
	Title    string         `json:"title"`
	Severity Severity       `json:"severity"`
	Alerts   []webhookAlert `json:"alerts"`
	Report   *webhookReport `json:"report,omitempty"`
}

// A webhookAlert is an alert in it.
type webhookAlert struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Kind     string    `json:"kind"`
	Severity Severity  `json:"severity"`
	Tenant   string    `json:"tenant,omitempty"`
	Part     string    `json:"part,omitempty"`
	Title    string    `json:"title"`
	Message  string    `json:"message"`
	Hint     string    `json:"hint,omitempty"`
	Since    time.Time `json:"since"`
	Ended    time.Time `json:"ended,omitzero"`
	Lasted   int64     `json:"lasted_seconds"`
}

// A webhookReport is a report in it.
type webhookReport struct {
	From    time.Time       `json:"from"`
	To      time.Time       `json:"to"`
	Tenants []webhookTenant `json:"tenants"`
	On      []webhookAlert  `json:"alerts_on"`
	Over    []webhookAlert  `json:"alerts_ended"`
}

// A webhookTenant is a tenant of a report.
type webhookTenant struct {
	Tenant      string `json:"tenant"`
	Fetched     int64  `json:"fetched"`
	Delivered   int64  `json:"delivered"`
	Rejected    int64  `json:"rejected"`
	Skipped     int64  `json:"skipped"`
	Waiting     int64  `json:"waiting"`
	Behind      int64  `json:"behind_seconds"`
	Checkpoint  string `json:"next_checkpoint"`
	OpenGaps    int    `json:"open_gaps"`
	NewGaps     int    `json:"new_gaps"`
	DeadLetters int64  `json:"dead_letters"`
	Error       string `json:"error,omitempty"`
}

// webhookBody writes a message in that form.
func webhookBody(m Message) webhookMessage {
	out := webhookMessage{
		Schema: WebhookSchema, ID: m.ID, About: m.About, At: m.At.UTC(), Instance: m.Instance, Version: m.Version,
		Title: m.Title(), Severity: m.worst(), Alerts: []webhookAlert{},
	}
	for _, n := range m.Notices {
		out.Alerts = append(out.Alerts, webhookAlertOf(n, m.At))
	}
	if r := m.Report; r != nil {
		out.Report = &webhookReport{From: r.From.UTC(), To: r.To.UTC(), Tenants: []webhookTenant{}, On: []webhookAlert{}, Over: []webhookAlert{}}
		for _, t := range r.Tenants {
			out.Report.Tenants = append(out.Report.Tenants, webhookTenant{
				Tenant: t.Tenant, Fetched: t.Fetched, Delivered: t.Delivered, Rejected: t.Rejected, Skipped: t.Skipped, Waiting: t.Waiting,
				Behind: int64(t.Behind / time.Second), Checkpoint: t.Checkpoint, OpenGaps: t.OpenGaps, NewGaps: t.NewGaps, DeadLetters: t.Kept, Error: t.Trouble,
			})
		}
		for _, a := range r.On {
			out.Report.On = append(out.Report.On, webhookAlertOf(Notice{a, StateStill}, m.At))
		}
		for _, a := range r.Over {
			out.Report.Over = append(out.Report.Over, webhookAlertOf(Notice{a, StateEnded}, m.At))
		}
	}
	return out
}

// webhookAlertOf writes a notice in that form.
func webhookAlertOf(n Notice, now time.Time) webhookAlert {
	return webhookAlert{
		ID: n.ID, State: n.State, Kind: n.Kind, Severity: n.Severity, Tenant: n.Tenant, Part: n.Part, Title: kindOf(n.Kind).Title,
		Message: n.Message, Hint: n.Hint, Since: n.Since.UTC(), Ended: n.Ended.UTC(), Lasted: int64(n.lasted(now) / time.Second),
	}
}
