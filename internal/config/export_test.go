package config

// DefaultDataDir is defaultDataDir, for tests of other systems.
func DefaultDataDir(goos string, root bool, env map[string]string) string {
	return defaultDataDir(goos, root, env)
}

// UnreadableTags returns the paths whose default, example or bound is not of the
// kind of the field.
func UnreadableTags() []string {
	var bad []string
	cfg := Default()
	cfg.Tenants = []Tenant{NewTenant()}
	cfg.walk(func(l leaf) {
		for _, text := range append([]string{l.field.def, l.field.min, l.field.max, l.field.example}, l.field.enum...) {
			if text != "" && l.field.parse(text, l.value) != nil {
				bad = append(bad, l.path+": "+text)
			}
		}
		if l.field.doc == "" || l.field.name == "" {
			bad = append(bad, l.path+": no doc")
		}
	})
	return bad
}

// MaskLines is maskLines, for tests.
func MaskLines(text string) []string { return maskLines(text) }
