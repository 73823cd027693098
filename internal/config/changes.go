package config

import (
	"reflect"
	"slices"
	"strings"
)

// Changes returns the paths of the values outside of tenants that another configuration
// has otherwise, in the order of the reference.
func (c *Config) Changes(other *Config) []string {
	was := make(map[string]any)
	c.walk(func(l leaf) { was[l.path] = l.value.Interface() })
	var out []string
	other.walk(func(l leaf) {
		if !strings.HasPrefix(l.path, "tenants.") && !reflect.DeepEqual(was[l.path], l.value.Interface()) {
			out = append(out, l.path)
		}
	})
	return out
}

// RedactKeys returns the secrets that a tenant's events are redacted with: its own and
// those of its destinations.
func (t *Tenant) RedactKeys() []Secret {
	keys := []Secret{t.Redact.Key}
	for i := range t.Destinations {
		keys = append(keys, t.Destinations[i].Redact.Key)
	}
	return slices.Clip(keys)
}
