package tenant

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// maxAdminBody bounds the body of an administrative request, in bytes.
const maxAdminBody = 64 << 20

// adminRequest is the object that POST /_emulator/events takes beside events:
// how many to generate, and over which time, by default the hour up to now.
type adminRequest struct {
	Generate int       `json:"generate"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

// adminEvents serves POST /_emulator/events: an array of events or a single one
// to append as they are, or an adminRequest. It answers with the Stats.
func (s *Server) adminEvents(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdminBody))
	if err == nil {
		err = s.administer(bytes.TrimSpace(body))
	}
	if err != nil {
		problem{http.StatusBadRequest, err.Error(), ""}.write(w)
		return
	}
	writeJSON(w, http.StatusOK, s.Stats())
}

func (s *Server) administer(body []byte) error {
	if bytes.HasPrefix(body, []byte("[")) {
		var list []json.RawMessage
		if err := json.Unmarshal(body, &list); err != nil {
			return err
		}
		events := make([][]byte, len(list))
		for i, raw := range list {
			events[i] = raw
		}
		return s.appendAll(events)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	now := time.Now()
	req := adminRequest{From: now.Add(-time.Hour), To: now}
	if dec.Decode(&req) != nil { // then it is an event
		return s.Append(body)
	}
	return s.Generate(req.Generate, req.From, req.To)
}

// adminStats serves GET /_emulator/stats.
func (s *Server) adminStats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Stats())
}
