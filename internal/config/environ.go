package config

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// envPrefix starts the name of every variable that gapless reads.
	envPrefix = "GAPLESS_"
	// The shorthand for a single tenant, and what it stands for.
	tenantShort = "TENANT_"
	tenantFull  = "TENANTS_0_"
)

// parseEnviron turns "NAME=value" pairs into a map; the last of two counts.
func parseEnviron(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// A variable is an environment variable that stands for a field.
type variable struct {
	name string
	path []string
}

// environment applies the variables and returns the names of those that begin
// with the prefix and stand for nothing.
func (l *loader) environment(env map[string]string) (unknown []string) {
	var vars []variable
	for _, name := range sortedKeys(env) {
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || name == FileVariable {
			continue
		}
		if l.shadowed(name, rest, env) {
			continue
		}
		path := envPath(expandShort(rest), l.fields)
		if path == nil {
			unknown = append(unknown, name)
			continue
		}
		vars = append(vars, variable{name, path})
	}
	slices.SortStableFunc(vars, func(a, b variable) int { return comparePaths(a.path, b.path) })
	for i, v := range vars {
		if i > 0 && slices.Equal(v.path, vars[i-1].path) {
			l.fail("", Origin{Name: v.name}, &fault{"means the same as " + vars[i-1].name + ", which is set too", "Remove one of the two."})
			continue
		}
		l.set(v.path, env[v.name], Origin{Name: v.name})
	}
	return unknown
}

// shadowed reports, and records as a problem, a use of the shorthand that is
// not clear.
func (l *loader) shadowed(name, rest string, env map[string]string) bool {
	field, short := strings.CutPrefix(rest, tenantShort)
	if !short {
		return false
	}
	full := envPrefix + tenantFull + field
	if _, both := env[full]; both {
		l.fail("", Origin{Name: name}, &fault{"means the same as " + full + ", which is set too", "Remove one of the two."})
		return true
	}
	if len(l.cfg.Tenants) > 1 {
		l.fail("", Origin{Name: name}, &fault{"is for a single tenant, and the file has more", "Name the tenant by its position, such as " + full + "."})
		return true
	}
	return false
}

// expandShort spells the shorthand for a single tenant out.
func expandShort(rest string) string {
	if field, ok := strings.CutPrefix(rest, tenantShort); ok {
		return tenantFull + field
	}
	return rest
}

// envPath finds the field that a name without the prefix stands for, nil when
// there is none.
func envPath(rest string, fs []field) []string {
	for _, f := range fs {
		name := strings.ToUpper(f.name)
		switch short := f.shorthand(); {
		case rest == name && short != nil:
			return []string{f.name, short.name}
		case rest == name && f.kind != kindStruct && f.kind != kindList:
			return []string{f.name}
		}
		inner, ok := strings.CutPrefix(rest, name+"_")
		if !ok {
			continue
		}
		path := []string{f.name}
		if f.kind == kindList {
			var digits string
			digits, inner, _ = strings.Cut(inner, "_")
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil {
				continue
			}
			path = append(path, strconv.FormatUint(n, 10))
		}
		if tail := envPath(inner, f.children); tail != nil {
			return append(path, tail...)
		}
	}
	return nil
}

// EnvName returns the variable that stands for a field, given its path, such as
// GAPLESS_TENANTS_0_DOMAIN for tenants.0.domain.
func EnvName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// EnvNames returns the variables for all fields, those of the first tenant in
// the place of those of every tenant.
func EnvNames() []string {
	var out []string
	eachLeaf(fields(), "", func(path string, _ *field) {
		out = append(out, EnvName(path))
	})
	return out
}

// eachLeaf calls fn for every field that holds a value, within lists for the
// first element.
func eachLeaf(fs []field, prefix string, fn func(path string, f *field)) {
	for i := range fs {
		f := &fs[i]
		switch f.kind {
		case kindStruct:
			eachLeaf(f.children, prefix+f.name+".", fn)
		case kindList:
			eachLeaf(f.children, prefix+f.name+".0.", fn)
		default:
			fn(prefix+f.name, f)
		}
	}
}

// unknownVariables reports the variables that stand for nothing, unless a
// secret refers to them or Kubernetes has set them.
func (l *loader) unknownVariables(unknown []string) {
	referred := map[string]bool{}
	l.cfg.walk(func(lf leaf) {
		for _, s := range lf.field.secretsIn(lf.value) {
			if s.scheme == schemeEnv {
				referred[s.target] = true
			}
		}
	})
	for _, name := range unknown {
		if referred[name] || ofKubernetes(name) {
			continue
		}
		l.fail("", Origin{Name: name}, &fault{"stands for no setting", suggestVariable(name)})
	}
}

// ofKubernetes reports whether a name is of the form that Kubernetes sets in
// every container for a Service called "gapless" or "gapless-...".
func ofKubernetes(name string) bool {
	ok, err := regexp.MatchString(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`, name)
	return err == nil && ok
}

// suggestVariable names the variable that was probably meant.
func suggestVariable(name string) string {
	position := "0"
	normal := name
	if m := regexp.MustCompile(`^(GAPLESS_TENANTS?_)(\d+)(_.*)$`).FindStringSubmatch(name); m != nil {
		position, normal = m[2], m[1]+"0"+m[3]
	}
	candidates := EnvNames()
	for _, c := range candidates {
		if field, ok := strings.CutPrefix(c, envPrefix+tenantFull); ok {
			candidates = append(candidates, envPrefix+tenantShort+field)
		}
	}
	best := nearest(normal, append(candidates, FileVariable))
	if best == "" {
		return "Remove it, or see docs/config.md for the names of all variables."
	}
	return "Did you mean " + strings.Replace(best, tenantFull, "TENANTS_"+position+"_", 1) + "?"
}

// comparePaths orders paths by their parts, positions as numbers, so that the
// first tenant is made before the second.
func comparePaths(a, b []string) int {
	return slices.CompareFunc(a, b, func(x, y string) int {
		n, errX := strconv.Atoi(x)
		m, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return cmp.Compare(n, m)
		}
		return cmp.Compare(x, y)
	})
}
