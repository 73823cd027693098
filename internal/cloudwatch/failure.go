package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A kind is what a failed call means to the sink.
type kind uint8

const (
	// passing faults go away by themselves; the outcome may be unknown.
	passing kind = iota
	// throttled calls came too fast.
	throttled
	// forbidden calls need a person to change a permission or a key.
	forbidden
	// missing says that the log group or stream does not exist.
	missing
	// refused says that CloudWatch does not take the content of the request.
	refused
	// repeated says that the batch was accepted before.
	repeated
	// existing says that what was to be made is there.
	existing
	// contended calls collided with another change of the same resource.
	contended
	// exhausted says that a quota of the account is used up.
	exhausted
)

// String returns the name used in metrics.
func (k kind) String() string {
	return [...]string{"transient", "throttled", "unauthorized", "not_found", "refused", "already_accepted", "exists", "contended", "quota"}[k]
}

// kindsOf sorts the error codes of CloudWatch Logs, of AWS's front ends, of STS and
// of SQS. What is not here is judged by the HTTP status.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html
var kindsOf = map[string]kind{
	"Throttling": throttled, "ThrottlingException": throttled, "ThrottledException": throttled,
	"TooManyRequestsException": throttled, "RequestLimitExceeded": throttled, "RequestThrottled": throttled,
	"RequestThrottledException": throttled, "SlowDown": throttled,

	"AccessDenied": forbidden, "AccessDeniedException": forbidden, "UnauthorizedOperation": forbidden,
	"UnrecognizedClientException": forbidden, "UnrecognizedClient": forbidden, "InvalidClientTokenId": forbidden,
	"InvalidAccessKeyId": forbidden, "ExpiredToken": forbidden, "ExpiredTokenException": forbidden,
	"RequestExpired": forbidden, "InvalidSignatureException": forbidden, "InvalidSignature": forbidden,
	"SignatureDoesNotMatch": forbidden, "IncompleteSignature": forbidden, "IncompleteSignatureException": forbidden,
	"MissingAuthenticationToken": forbidden, "MissingAuthenticationTokenException": forbidden,
	"OptInRequired": forbidden, "NotAuthorized": forbidden, "AuthFailure": forbidden, "RequestTimeTooSkewed": forbidden,

	"ResourceNotFoundException": missing, "ResourceNotFound": missing,

	"InvalidParameterException": refused, "InvalidParameterValue": refused, "InvalidParameter": refused,
	"ValidationException": refused, "ValidationError": refused, "ValidationErrorException": refused,
	"SerializationException": refused, "RequestEntityTooLargeException": refused,

	"DataAlreadyAcceptedException":   repeated,
	"ResourceAlreadyExistsException": existing,
	"OperationAbortedException":      contended,
	"LimitExceededException":         exhausted, "ServiceQuotaExceededException": exhausted, "TooManyTagsException": exhausted,

	"AWS.SimpleQueueService.NonExistentQueue": missing, "QueueDoesNotExist": missing,
	"InvalidAddress": refused, "InvalidSecurity": refused,
	"OverLimit": throttled, "KmsThrottled": throttled, "KMS.ThrottlingException": throttled,
	"KmsAccessDenied": forbidden, "KMS.AccessDeniedException": forbidden, "KmsDisabled": forbidden, "KMS.DisabledException": forbidden,

	"ServiceUnavailableException": passing, "ServiceUnavailable": passing, "InternalFailure": passing, "InternalServerException": passing,
}

// A failure is a failed call, understood. Its text is the same for the same
// cause, without request ids and ports, so that a fault that lasts is told once.
type failure struct {
	op         string // the operation, such as "PutLogEvents"
	kind       kind
	code       string // AWS's code; empty when the answer had none
	status     int    // HTTP status; 0 when there was no answer
	retryAfter time.Duration
	text       string
	err        error
}

// Error returns what failed and why.
func (f *failure) Error() string { return f.op + ": " + f.text }

// Unwrap returns the error of the SDK.
func (f *failure) Unwrap() error { return f.err }

// answered reports whether CloudWatch, or what stands in its place, has said that
// it did not do what was asked. Without that the outcome is unknown.
func (f *failure) answered() bool { return f.status >= http.StatusBadRequest }

// outcomeUnknown reports whether the call may have been carried out: it was made
// and no answer says that it was not. An answer 5xx does not say so, unless it is
// AWS's own that the service was not available.
func (f *failure) outcomeUnknown() bool {
	if f.kind == repeated {
		return true // it says that it was, and that can be looked up
	}
	if f.answered() {
		return f.status >= http.StatusInternalServerError && !strings.HasPrefix(f.code, "ServiceUnavailable") && f.kind == passing
	}
	if _, ok := errors.AsType[*credentialsError](f.err); ok {
		return false
	}
	if _, ok := errors.AsType[*net.DNSError](f.err); ok {
		return false
	}
	e, ok := errors.AsType[*net.OpError](f.err)
	return !ok || e.Op != "dial"
}

// understand makes a failure of an error of the SDK.
func understand(op string, err error) *failure {
	f := &failure{op: op, err: err}
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && resp.Response != nil && resp.Response.Response != nil {
		f.status = resp.HTTPStatusCode()
		f.retryAfter = retryAfter(resp.Response.Header, time.Now())
	}
	if _, ok := errors.AsType[*credentialsError](err); ok {
		f.kind, f.text = forbidden, "get AWS credentials: "+reason(err)
		return f
	}
	message := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "UnknownError" {
		secrets := sentSecrets(err)
		f.code, message = clean(blotOut(api.ErrorCode(), secrets)), clean(blotOut(api.ErrorMessage(), secrets))
	}
	k, known := kindsOf[f.code]
	if !known {
		k = kindOfStatus(f.status)
	}
	f.kind = k
	switch {
	case f.code != "" && message != "":
		f.text = fmt.Sprintf("%s: %s", f.code, message)
	case f.code != "":
		f.text = fmt.Sprintf("%s (HTTP %d)", f.code, f.status)
	case f.status >= http.StatusMultipleChoices:
		f.text = fmt.Sprintf("HTTP %d without an error of AWS", f.status)
	default:
		f.text = reason(err)
	}
	return f
}

// kindOfStatus judges an answer whose code says nothing.
func kindOfStatus(status int) kind {
	switch status {
	case http.StatusTooManyRequests:
		return throttled
	case http.StatusUnauthorized, http.StatusForbidden:
		return forbidden
	case http.StatusRequestEntityTooLarge:
		return refused
	default:
		return passing
	}
}

// retryAfter reads how long a server asks to wait; 0 when it does not.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(0, s), int(maxRetryAfter/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), maxRetryAfter)
	}
	return 0
}

// maxRetryAfter bounds what a server may ask for, against nonsense.
const maxRetryAfter = 5 * time.Minute

// clean makes a message of AWS fit for logs and terminals: one line of what
// prints, not endless, and without the values that validation messages quote,
// which may be events.
func clean(message string) string {
	const open, end = "Value '", "' at '"
	if i := strings.Index(message, open); i >= 0 {
		if j := strings.LastIndex(message, end); j > i {
			message = message[:i] + "Value at '" + message[j+len(end):]
		} else {
			message = message[:i] + "(a value)"
		}
	}
	message = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(message, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if short := cutRunes(message, 400); short != message {
		return short + "…"
	}
	return message
}

// reason says in stable words why there was no answer.
func reason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return "look up host " + e.Name + ": " + e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		to := ""
		if e.Op == "dial" && e.Addr != nil {
			to = " " + e.Addr.String()
		}
		return e.Op + to + ": " + e.Err.Error()
	}
	switch {
	case errors.Is(err, errRequestTimeout), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was whole"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return clean(blotOut(err.Error(), nil))
		}
		err = inner
	}
}
