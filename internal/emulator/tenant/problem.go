package tenant

import (
	"encoding/json"
	"net/http"
)

// problem is an error answer of the Management API.
type problem struct {
	status  int
	message string
	code    string // errorCode; may be empty
}

// write answers with the problem, in the shape of the Management API.
func (p problem) write(w http.ResponseWriter) {
	writeJSON(w, p.status, struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
		ErrorCode  string `json:"errorCode,omitempty"`
	}{p.status, http.StatusText(p.status), p.message, p.code})
}

// badQuery is the answer to a parameter that the API does not take.
func badQuery(message string) *problem {
	return &problem{http.StatusBadRequest, "Query validation error: " + message, "invalid_query_string"}
}

// badBody is the answer to a body that the API does not take.
func badBody(message string) *problem {
	return &problem{http.StatusBadRequest, "Payload validation error: " + message, "invalid_body"}
}

// contentType is that of every answer, as Auth0 writes it.
const contentType = "application/json; charset=utf-8"

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that has left is no concern of ours
}
