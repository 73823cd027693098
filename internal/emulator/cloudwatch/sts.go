package cloudwatch

import (
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// opCallerIdentity is the one operation of AWS STS that the emulator answers, because a
// program that is told of one endpoint asks there who it is.
const opCallerIdentity = "GetCallerIdentity"

// toSTS reports whether a request is one to STS, whose protocol is a form.
func toSTS(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// stsNamespace is that of the answers of STS.
const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

type callerIdentity struct {
	XMLName xml.Name `xml:"GetCallerIdentityResponse"`
	Space   string   `xml:"xmlns,attr"`
	Arn     string   `xml:"GetCallerIdentityResult>Arn"`
	UserID  string   `xml:"GetCallerIdentityResult>UserId"`
	Account string   `xml:"GetCallerIdentityResult>Account"`
	Request string   `xml:"ResponseMetadata>RequestId"`
}

type stsError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Space   string   `xml:"xmlns,attr"`
	Type    string   `xml:"Error>Type"`
	Code    string   `xml:"Error>Code"`
	Message string   `xml:"Error>Message"`
	Request string   `xml:"RequestId"`
}

// serveCallerIdentity says who signed a request: the user of the key, or without
// configured keys a user called emulator.
func (s *Server) serveCallerIdentity(w http.ResponseWriter, r *http.Request) {
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), int(r.ContentLength))
	var u *user
	if err == nil {
		if form, perr := url.ParseQuery(string(body)); perr != nil || form.Get("Action") != opCallerIdentity {
			err = newError("InvalidAction", "Could not find operation %s for version %s", form.Get("Action"), form.Get("Version"))
		} else {
			u, err = s.authenticateFor("sts", r, body)
		}
	}
	s.stats.called(opCallerIdentity, code(err))
	id := w.Header().Get("X-Amzn-RequestId")
	if err != nil {
		emulator.Note(r.Context(), slog.String("error", code(err)))
		writeXML(w, stsStatus(err), stsError{Space: stsNamespace, Type: "Sender", Code: stsCode(err), Message: stsMessage(err), Request: id})
		return
	}
	name := "emulator"
	if u != nil {
		name = u.name
	}
	region := s.region
	if scope, ok := scopeRegion(r); ok {
		region = scope
	}
	a := arns{region: region, account: s.account}
	writeXML(w, http.StatusOK, callerIdentity{Space: stsNamespace, Arn: a.user(name), UserID: name, Account: s.account, Request: id})
}

// stsCode names an error of authentication as the query services do.
func stsCode(err error) string {
	switch c := code(err); c {
	case "UnrecognizedClientException":
		return "InvalidClientTokenId"
	case "InvalidSignatureException":
		return "SignatureDoesNotMatch"
	default:
		return strings.TrimSuffix(c, "Exception")
	}
}

// stsMessage is the text of an error.
func stsMessage(err error) string {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.message
	}
	return "the request cannot be read"
}

// stsStatus is the HTTP status of an error: STS refuses with 403.
func stsStatus(err error) int {
	if code(err) == "InvalidAction" {
		return http.StatusBadRequest
	}
	return http.StatusForbidden
}

func writeXML(w http.ResponseWriter, status int, answer any) {
	body, err := xml.Marshal(answer)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have left
}
