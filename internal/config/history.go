package config

import "time"

// History bounds what is kept of what passed.
type History struct {
	Keep     time.Duration `yaml:"keep" default:"168h" min:"0s" max:"8760h" doc:"How long what passed is kept to look at; at least 1h. 0s keeps nothing, writes no file and deletes one that is there."`
	MaxBytes Size          `yaml:"max_bytes" default:"1GiB" min:"16MiB" doc:"How large history.db may become before the oldest of it leaves."`
}

// minHistory is the shortest history.keep, but for none.
const minHistory = time.Hour

// Off reports whether nothing is kept.
func (h History) Off() bool { return h.Keep == 0 }

// checkHistory checks what is kept of what passed.
func (l *loader) checkHistory(h History) {
	if !h.Off() && h.Keep < minHistory {
		l.complain("history.keep", FormatDuration(h.Keep)+" is less than "+FormatDuration(minHistory), "Set 1h or more, or 0s to keep nothing.")
	}
}
