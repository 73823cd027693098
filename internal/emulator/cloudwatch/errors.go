package cloudwatch

import (
	"fmt"
	"net/http"
)

// apiError is an error of the API: it reaches the client as it stands.
type apiError struct {
	code    string
	message string
	status  int
	extra   map[string]any // further members of the body
}

// Error implements error.
func (e *apiError) Error() string { return e.code + ": " + e.message }

func newError(code, format string, args ...any) *apiError {
	return &apiError{code: code, message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

func invalidParameter(format string, args ...any) *apiError {
	return newError("InvalidParameterException", format, args...)
}

// The errors that carry nothing of the request. Their texts are those of the
// real service.
var (
	errNoGroup       = newError("ResourceNotFoundException", "The specified log group does not exist.")
	errNoStream      = newError("ResourceNotFoundException", "The specified log stream does not exist.")
	errNoResource    = newError("ResourceNotFoundException", "The specified resource does not exist.")
	errGroupExists   = newError("ResourceAlreadyExistsException", "The specified log group already exists")
	errStreamExists  = newError("ResourceAlreadyExistsException", "The specified log stream already exists")
	errToken         = invalidParameter("The specified nextToken is invalid.")
	errTwoGroups     = newError("ValidationException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	errNoGroupGiven  = invalidParameter("Either logGroupName or logGroupIdentifier must be specified.")
	errTwoFilters    = invalidParameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	errNameTooLong   = invalidParameter("Invalid LogGroup or LogStream, both must have length less than or equal to 512.")
	errReservedName  = invalidParameter("Log groups starting with AWS/ are reserved for AWS.")
	errProtected     = newError("ValidationException", "The log group has deletion protection enabled. Disable deletion protection before deleting.")
	errOrder         = invalidParameter("Log events in a single PutLogEvents request must be in chronological order.")
	errSpan          = invalidParameter("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	errPrefixByTime  = invalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
	errTwoStreams    = invalidParameter("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
	errNewestTooFar  = invalidParameter("startFromHead can be false only when startTime is on or after 2024-01-01T00:00:00Z.")
	errUnknownTarget = &apiError{code: "UnknownOperationException", status: http.StatusBadRequest}
	errInternal      = &apiError{
		code: "ServiceUnavailableException", status: http.StatusServiceUnavailable,
		message: "The service cannot complete the request.",
	}
	errTooLarge = &apiError{
		code: "RequestEntityTooLargeException", status: http.StatusRequestEntityTooLarge,
		message: "The request body is too large.",
	}
)

// serialization is the error for a body that is not what the operation takes.
func serialization(format string, args ...any) *apiError {
	return newError("SerializationException", format, args...)
}
