package tenant

import (
	"crypto/rsa"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// Options says what tenant a Server emulates. The zero value is a usable
// default: a tenant in memory, without limits, with credentials of its own.
type Options struct {
	// TenantName is the name of the tenant; empty means "dev-tenant".
	TenantName string
	// Domain is the canonical host name; empty means TenantName and
	// ".us.auth0.com". The server answers under any name all the same.
	Domain string
	// ClientID and ClientSecret are the credentials of the first application;
	// empty ones are made from Seed (see Server.Credentials).
	ClientID, ClientSecret string
	// PublicKeys verify the assertions of private_key_jwt; none refuses them.
	PublicKeys []*rsa.PublicKey
	// Scopes are what the application is granted; nil means DefaultScopes.
	Scopes []string
	// Applications are there beside the first one.
	Applications []Application
	// Audiences are accepted beside https://DOMAIN/api/v2/ and the address under
	// which the server is asked.
	Audiences []string
	// TokenLifetime is how long a token is valid; 0 means 24 hours, the default
	// of the Management API.
	TokenLifetime time.Duration
	// Plan sets rate limits and retention; empty means Unlimited.
	Plan Plan
	// Retention is how long events are kept; 0 means as the plan says, a
	// negative value for ever.
	Retention time.Duration
	// ServeExpired answers a log_id that is older than the retention with the
	// oldest events kept, instead of refusing it: what Auth0 does is not known.
	ServeExpired bool
	// Delay is how long after the time in its log_id an event can be read.
	Delay time.Duration
	// DataDir is where events, users, applications and log streams are kept across restarts, made if it is
	// missing; empty keeps them in memory alone.
	DataDir string
	// Seed determines the traffic and whatever else is made up.
	Seed uint64
	// MeanSize and Quirks are those of GeneratorOptions.
	MeanSize int
	Quirks   float64
	// Logger gets a line for each request; nil means silence.
	Logger *slog.Logger
	// Streams says how log streams push.
	Streams StreamOptions
	// Faults is the script of what goes wrong; nil means an empty one.
	Faults *emulator.Faults
}

// DefaultScopes returns the scopes of an application that may read logs, manage
// log streams and create users.
func DefaultScopes() []string {
	return []string{
		"read:logs", "read:logs_users", "read:log_streams", "create:log_streams", "update:log_streams", "delete:log_streams",
		"read:users", "create:users",
	}
}

func (o Options) withDefaults() (Options, error) {
	limits, ok := plans[o.Plan]
	if !ok {
		return o, fmt.Errorf("plan %q is unknown; there are %q", o.Plan, Plans())
	}
	if o.TenantName == "" {
		o.TenantName = "dev-tenant"
	}
	if o.Domain == "" {
		o.Domain = o.TenantName + ".us.auth0.com"
	}
	if strings.ContainsAny(o.Domain, "/ ") {
		return o, fmt.Errorf("domain %q must be a bare host name", o.Domain)
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x74656e616e74)) //nolint:gosec // made-up credentials of an emulator, the same for the same seed
	if o.ClientID == "" {
		o.ClientID = randomText(rng, 32)
	}
	if o.ClientSecret == "" {
		o.ClientSecret = randomText(rng, 64)
	}
	if o.Scopes == nil {
		o.Scopes = DefaultScopes()
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = 24 * time.Hour
	}
	if o.Retention == 0 {
		o.Retention = limits.retention
	}
	streams, err := o.Streams.withDefaults(o.Plan)
	if err != nil {
		return o, err
	}
	o.Streams = streams
	if o.Faults == nil {
		o.Faults = emulator.NewFaults()
	}
	return o, nil
}
