package tenant

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// ownEvent is an event about the server's own work, stored now.
type ownEvent struct {
	Date         string          `json:"date"`
	Type         string          `json:"type"`
	Description  string          `json:"description"`
	ConnectionID *string         `json:"connection_id,omitempty"`
	ClientID     string          `json:"client_id"`
	ClientName   string          `json:"client_name"`
	IP           string          `json:"ip"`
	UserAgent    string          `json:"user_agent"`
	Details      json.RawMessage `json:"details,omitempty"`
	Hostname     string          `json:"hostname,omitempty"`
	UserID       string          `json:"user_id"`
	UserName     string          `json:"user_name"`
	Audience     string          `json:"audience,omitempty"`
	Scope        string          `json:"scope,omitempty"`
	Schema       ownSchema       `json:"$event_schema"`
	LogID        string          `json:"log_id"`
	TenantName   string          `json:"tenant_name"`
	Environment  string          `json:"environment_name"`
	ID           string          `json:"_id"`
	IsMobile     bool            `json:"isMobile"`
}

type ownSchema struct {
	Version string `json:"version"`
}

// clientName is the name of the first application.
const clientName = "Log Export"

// record stores the event of something that happened just now. s.mu is held.
func (s *Server) record(ev ownEvent) error {
	const delay = 12 * time.Millisecond // Auth0's log store is never quicker than 10 ms
	id, at := s.generator.mint.next(time.Now().Add(delay))
	date := at.Add(-delay).Truncate(time.Millisecond)
	ev.Date, ev.LogID, ev.ID = date.Format(dateLayout), id, id
	ev.UserAgent = browsers[len(browsers)-1].parsed
	ev.Schema.Version, ev.TenantName, ev.Environment = "1.0.0", s.opts.TenantName, s.generator.world.environment
	raw, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return s.keep([]entry{made{id: id, at: at, date: date, code: ev.Type}.entry(raw)})
}

// recordExchange records a token exchange that succeeded or, with a problem,
// failed. That the log cannot be written must not keep a client from its token.
func (s *Server) recordExchange(r *http.Request, req tokenRequest, failed *tokenProblem) {
	empty := ""
	ev := ownEvent{
		Type: "seccft", Description: "Client Credentials for Access Token", ConnectionID: &empty,
		ClientID: req.ClientID, IP: clientIP(r), Hostname: s.opts.Domain,
		Audience: req.Audience, Scope: req.Scope,
	}
	if ev.ClientID == "" {
		ev.ClientID = s.opts.ClientID // an assertion may stand alone
	}
	if failed != nil {
		ev.Type, ev.Description, ev.Scope = "feccft", failed.description, ""
		details, err := json.Marshal(map[string]any{"error": map[string]string{
			"message": failed.description, "oauthError": failed.code, "type": failed.code,
		}})
		if err == nil {
			ev.Details = details
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.findClient(req.ClientID); c != nil {
		ev.ClientName = c.Name
	}
	_ = s.record(ev) // see above; the next write tells the caller of the server
}

// recordLimit records that a rate limit was reached or nearly so. Who asked is
// not known yet. That the log cannot be written must not change the answer.
func (s *Server) recordLimit(r *http.Request, code string, l rateLimit) {
	ev := ownEvent{Type: code, Description: "Global API rate limit has been reached", IP: clientIP(r)}
	if code == limitNear {
		ev.Description = "You have consumed 80% of your rate limit"
	}
	details, err := json.Marshal(map[string]any{"api": "management", "bucket": "global", "limit": l.burst})
	if err == nil {
		ev.Details = details
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.record(ev) // see above
}

// recordChange records what a call of the Management API has made of the tenant: body
// is the request's, answer what it was answered with. s.mu is held.
func (s *Server) recordChange(r *http.Request, description string, status int, body, answer []byte) error {
	type object = map[string]any
	by, _ := s.claims(r) // which has been checked
	details, err := json.Marshal(object{
		"request": object{
			"auth":    object{"credentials": object{"scopes": strings.Fields(by.Scope)}, "strategy": "jwt", "user": object{}},
			"body":    json.RawMessage(masked(body)),
			"channel": "api", "ip": clientIP(r), "method": strings.ToLower(r.Method), "path": r.URL.Path, "query": object{},
			"userAgent": r.UserAgent(),
		},
		"response": object{"body": json.RawMessage(masked(answer)), "statusCode": status},
	})
	if err != nil {
		return fmt.Errorf("describe change: %w", err)
	}
	return s.record(ownEvent{
		Type: "sapi", Description: description, ClientID: by.Azp, IP: clientIP(r), Details: details,
	})
}

// clientIP is the address of the client, without its port.
func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
