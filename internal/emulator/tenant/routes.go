package tenant

import (
	"net/http"
	"strings"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// The operations, as faults, log lines and Stats name them.
const (
	opToken      = "POST /oauth/token" //nolint:gosec // a path, no credential
	opLogs       = "GET /api/v2/logs"
	opLog        = "GET /api/v2/logs/{id}"
	opLogStreams = "GET /api/v2/log-streams"
	opNewStream  = "POST /api/v2/log-streams"
	opLogStream  = "GET /api/v2/log-streams/{id}"
	opSetStream  = "PATCH /api/v2/log-streams/{id}"
	opEndStream  = "DELETE /api/v2/log-streams/{id}"
	opClients    = "GET /api/v2/clients"
	opNewClient  = "POST /api/v2/clients"
	opClient     = "GET /api/v2/clients/{id}"
	opSetClient  = "PATCH /api/v2/clients/{id}"
	opEndClient  = "DELETE /api/v2/clients/{id}"
	opKeys       = "GET /api/v2/clients/{id}/credentials"
	opNewKey     = "POST /api/v2/clients/{id}/credentials"
	opEndKey     = "DELETE /api/v2/clients/{id}/credentials/{credential}"
	opGrants     = "GET /api/v2/client-grants"
	opNewGrant   = "POST /api/v2/client-grants"
	opSetGrant   = "PATCH /api/v2/client-grants/{id}"
	opEndGrant   = "DELETE /api/v2/client-grants/{id}"
	opCreateUser = "POST /api/v2/users"
	opUser       = "GET /api/v2/users/{id}"
)

// operation names the operation of a request: an entry of the list above, or
// method and path.
func operation(r *http.Request) string {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/api/v2/clients/"); ok {
		parts := strings.Split(rest, "/")
		if parts[0] != "" && len(parts) <= 3 && (len(parts) == 1 || parts[1] == "credentials") {
			parts[0] = "{id}"
			if len(parts) == 3 && parts[2] != "" {
				parts[2] = "{credential}"
			}
			path = "/api/v2/clients/" + strings.Join(parts, "/")
		}
	}
	for _, prefix := range [...]string{"/api/v2/logs/", "/api/v2/users/", "/api/v2/log-streams/", "/api/v2/client-grants/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" && !strings.Contains(rest, "/") {
			path = prefix + "{id}"
		}
	}
	return r.Method + " " + path
}

// routes assembles the handler.
//
//	request ─► log line ─► count ─► faults ─► rate limit ─► token ─► operation
func (s *Server) routes() http.Handler {
	api := http.NewServeMux()
	api.Handle(opLogs, s.authorized(s.getLogs, "read:logs", "read:logs_users"))
	api.Handle(opLog, s.authorized(s.getLog, "read:logs", "read:logs_users"))
	api.Handle(opLogStreams, s.authorized(s.getLogStreams, "read:log_streams"))
	api.Handle(opNewStream, s.authorized(s.createLogStream, "create:log_streams"))
	api.Handle(opLogStream, s.authorized(s.getLogStream, "read:log_streams"))
	api.Handle(opSetStream, s.authorized(s.patchLogStream, "update:log_streams"))
	api.Handle(opEndStream, s.authorized(s.deleteLogStream, "delete:log_streams"))
	s.applicationRoutes(api)
	api.Handle(opCreateUser, s.authorized(s.createUser, "create:users"))
	api.Handle(opUser, s.authorized(s.getUser, "read:users"))
	api.HandleFunc("/api/v2/", notFound)

	public := http.NewServeMux()
	public.Handle("/api/v2/", newLimiter(s.opts.Plan, s.recordLimit).wrap(api))
	public.HandleFunc(opToken, s.token)
	public.HandleFunc("/", notFound)

	struck := s.count(s.opts.Faults.Wrap(operation, public))
	root := http.NewServeMux()
	root.Handle("/", emulator.Log(s.opts.Logger, operation, struck))
	root.Handle(emulator.FaultsPath, s.opts.Faults)
	root.HandleFunc("POST /_emulator/events", s.adminEvents)
	root.HandleFunc("GET /_emulator/stats", s.adminStats)
	root.HandleFunc(pushFaultsPath, s.adminPushFaults)
	return root
}

// applicationRoutes adds the operations on applications and their grants.
func (s *Server) applicationRoutes(api *http.ServeMux) {
	change := func(operation, description string, status int, do func(*http.Request, []byte) (any, *problem), scope string) {
		api.Handle(operation, s.authorized(s.change(description, status, do), scope))
	}
	api.Handle(opClients, s.authorized(s.getClients, "read:clients", "read:client_keys"))
	api.Handle(opClient, s.authorized(s.getClient, "read:clients", "read:client_keys"))
	change(opNewClient, "Create a client", http.StatusCreated, s.createClient, "create:clients")
	change(opSetClient, "Update a client", http.StatusOK, s.patchClient, "update:clients")
	change(opEndClient, "Delete a client", http.StatusNoContent, s.deleteClient, "delete:clients")
	api.Handle(opKeys, s.authorized(s.getCredentials, "read:client_credentials"))
	change(opNewKey, "Create a client credential", http.StatusCreated, s.createCredential, "create:client_credentials")
	change(opEndKey, "Delete a client credential", http.StatusNoContent, s.deleteCredential, "delete:client_credentials")
	api.Handle(opGrants, s.authorized(s.getGrants, "read:client_grants"))
	change(opNewGrant, "Create client grant", http.StatusCreated, s.createGrant, "create:client_grants")
	change(opSetGrant, "Update client grant", http.StatusOK, s.patchGrant, "update:client_grants")
	change(opEndGrant, "Delete client grant", http.StatusNoContent, s.deleteGrant, "delete:client_grants")
}

// count counts a request.
func (s *Server) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.statsMu.Lock()
		s.stats.Requests[operation(r)]++
		s.statsMu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	problem{http.StatusNotFound, "Not Found", ""}.write(w)
}

// baseURL is the address under which the request reached the tenant.
func baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
