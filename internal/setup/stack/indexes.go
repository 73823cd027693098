package stack

import "github.com/gaplesslogs/gapless/internal/config"

// IndexedFields are the fields of events that people look for. They lie at the top of
// a message, which is the bare event; connection and client_id are texts there.
func IndexedFields() []string {
	return []string{"type", "user_id", "client_id", "ip", "connection", "log_id"}
}

// addIndexes adds the field indexes of the groups. Other classes than STANDARD have
// none.
func addIndexes(cfg *config.Config, o Options, s *Stack) error {
	seen := map[ID]bool{}
	for _, t := range targets(cfg) {
		p := &IndexPolicy{Region: t.aws.Region, Group: t.group, Fields: IndexedFields()}
		if !t.madeHere(&o) || t.class() != ClassStandard || seen[p.ID()] {
			continue
		}
		seen[p.ID()] = true
		s.Resources = append(s.Resources, p)
	}
	return nil
}
