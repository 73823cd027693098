package tenant

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

var errNoSuchGrant = &problem{http.StatusNotFound, "The client grant does not exist", "inexistent_client_grant"}

// getGrants serves GET /api/v2/client-grants.
func (s *Server) getGrants(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	list := make([]clientGrant, 0, len(s.grants))
	for _, g := range s.grants {
		if (q.Get("client_id") == "" || q.Get("client_id") == g.ClientID) && (q.Get("audience") == "" || q.Get("audience") == g.Audience) {
			list = append(list, *g)
		}
	}
	s.mu.Unlock()
	writePage(w, q, "client_grants", list)
}

// grantRequest is the body of POST and, with scope alone, of PATCH.
type grantRequest struct {
	ClientID    string    `json:"client_id"`
	Audience    string    `json:"audience"`
	Scope       *[]string `json:"scope"`
	SubjectType string    `json:"subject_type"`
}

// createGrant serves POST /api/v2/client-grants.
func (s *Server) createGrant(r *http.Request, body []byte) (any, *problem) {
	var req grantRequest
	if failed := decodeStrict(body, "", &req); failed != nil {
		return nil, failed
	}
	switch {
	case req.ClientID == "":
		return nil, missing("client_id")
	case req.Audience == "":
		return nil, missing("audience")
	case req.Scope == nil:
		return nil, missing("scope")
	case s.findClient(req.ClientID) == nil:
		return nil, errNoSuchClient
	case !s.isManagement(req.Audience, baseURL(r)):
		return nil, &problem{http.StatusNotFound, "The API does not exist", "inexistent_resource_server"}
	case req.SubjectType != "" && req.SubjectType != "client":
		return nil, noEnum("subject_type", req.SubjectType)
	case s.findGrant(req.ClientID) != nil:
		return nil, &problem{http.StatusConflict, fmt.Sprintf("A client grant already exists between %s and %s", req.ClientID, req.Audience), ""}
	}
	s.lastID++
	g := &clientGrant{
		ID:       s.newID("cgr_", fmt.Sprintf("grant %d %d", time.Now().UnixNano(), s.lastID)),
		ClientID: req.ClientID, Audience: req.Audience, Scope: *req.Scope, SubjectType: "client",
	}
	if s.journal.line(map[string]any{"grant": g}) != nil {
		return nil, errNotKept
	}
	s.grants = append(s.grants, g)
	return g, nil
}

// grantOf returns the grant that a request names, or nil. s.mu is held.
func (s *Server) grantOf(r *http.Request) *clientGrant {
	i := slices.IndexFunc(s.grants, func(g *clientGrant) bool { return g.ID == r.PathValue("id") })
	if i < 0 {
		return nil
	}
	return s.grants[i]
}

// patchGrant serves PATCH /api/v2/client-grants/{id}.
func (s *Server) patchGrant(r *http.Request, body []byte) (any, *problem) {
	old := s.grantOf(r)
	if old == nil {
		return nil, errNoSuchGrant
	}
	var req struct {
		Scope *[]string `json:"scope"`
	}
	if failed := decodeStrict(body, "", &req); failed != nil {
		return nil, failed
	}
	g := *old
	if req.Scope != nil {
		g.Scope = *req.Scope
	}
	if s.journal.line(map[string]any{"grant": g}) != nil {
		return nil, errNotKept
	}
	*old = g
	return g, nil
}

// deleteGrant serves DELETE /api/v2/client-grants/{id}.
func (s *Server) deleteGrant(r *http.Request, _ []byte) (any, *problem) {
	g := s.grantOf(r)
	if g == nil {
		return nil, errNoSuchGrant
	}
	if s.journal.line(map[string]any{"grant_gone": g.ID}) != nil {
		return nil, errNotKept
	}
	s.grants = slices.DeleteFunc(s.grants, func(other *clientGrant) bool { return other == g })
	return nil, nil
}
