package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/gaplesslogs/gapless/internal/event"
)

// fileEnd is the cursor of a Files behind the last file.
const fileEnd event.Cursor = "{}"

// A filePlace is where a Files stands. Its text, JSON, is the cursor.
type filePlace struct {
	// Done files, from the first of the list on, have been read well; Sum tells
	// whether the first files of another list are the same.
	Done int    `json:"done"`
	Sum  string `json:"sum"`
	// File is the identity of the one being read, and Place where in it.
	File string `json:"file"`
	event.Place
}

// cursor returns the text of a place.
func (p filePlace) cursor() event.Cursor {
	text, err := json.Marshal(p)
	if err != nil { // numbers and text are never refused
		return fileEnd
	}
	return event.Cursor(text)
}

// readFilePlace reads a cursor. One that cannot be read is the beginning: reading
// too much costs time, the buffer drops what it knows, and reading too little would
// lose events.
func readFilePlace(c event.Cursor) filePlace {
	var p filePlace
	err := json.Unmarshal([]byte(c), &p)
	if err != nil || p.Done < 0 || p.Offset < 0 || p.File == "" || p.Object && !p.List || p.Offset == 0 && p.List {
		return filePlace{}
	}
	if p.Line < 1 {
		p.Line = 1
	}
	return p
}

// nextSum makes one text of the identities of files, in their order: from that of
// those before, and the next one.
func nextSum(before string, next input) string {
	sum := sha256.Sum256([]byte(before + next.identity))
	return hex.EncodeToString(sum[:16])
}
