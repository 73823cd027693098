package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// failed says what was being done when an error came; nil when none did.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if op, ok := errors.AsType[*smithy.OperationError](err); ok { // its text may quote the request
		return cloudwatch.ExplainAWS(doing, op.OperationName, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// unknownKind is the error for a resource that a provider does not know.
func unknownKind(r stack.Resource) error { return fmt.Errorf("no provider knows %T", r) }

// A Permission is what AWS refused.
type Permission struct {
	// Action is as policies write it, such as logs:CreateLogGroup.
	Action string
	// Resource is an ARN, or "*" where AWS did not tell one.
	Resource string
}

// Statement returns the statement of a policy that allows it, as JSON.
func (p Permission) Statement() string {
	b, err := json.Marshal(struct {
		Effect, Action, Resource string
	}{"Allow", p.Action, p.Resource})
	if err != nil { // no text fails
		return ""
	}
	return string(b)
}

// MissingPermission returns the permission that an error of AWS says is missing; false
// when it says something else.
func MissingPermission(err error) (Permission, bool) {
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok || !refusal(answer.ErrorCode()) {
		return Permission{}, false
	}
	p := Permission{Resource: "*"}
	if m := regexp.MustCompile(`not authorized to perform:? ([A-Za-z0-9-]+:[A-Za-z0-9]+)(?: on resource:? (\S+))?`).FindStringSubmatch(answer.ErrorMessage()); m != nil {
		p.Action = m[1]
		if strings.HasPrefix(m[2], "arn:") {
			p.Resource = m[2]
		}
		return p, true
	}
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return Permission{}, false
	}
	p.Action = prefixOf(op.ServiceID) + ":" + op.OperationName
	return p, true
}

// refusal reports whether a code says that a permission is missing.
func refusal(code string) bool {
	return strings.HasPrefix(code, "AccessDenied") || code == "UnauthorizedOperation" || code == "NotAuthorized" || code == "AuthorizationError"
}

// prefixOf returns how policies name a service of the SDK.
func prefixOf(service string) string {
	switch service {
	case "CloudWatch Logs":
		return "logs"
	case "EventBridge":
		return "events"
	default:
		return strings.ToLower(strings.ReplaceAll(service, " ", ""))
	}
}

// unsupported reports whether an error says that an endpoint does not know the call:
// emulators answer so, each in its own way, and Regions of AWS that lack a feature.
func unsupported(err error, emulated bool) bool {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		switch answer.ErrorCode() {
		case "UnknownOperationException", "InvalidAction", "NotImplemented", "NotImplementedException", "UnsupportedOperation":
			return true
		}
	}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || !emulated {
		return false
	}
	switch response.HTTPStatusCode() {
	case http.StatusNotFound, http.StatusInternalServerError, http.StatusNotImplemented:
		return strings.HasPrefix(response.Response.Header.Get("Content-Type"), "text/html")
	default:
		return false
	}
}
