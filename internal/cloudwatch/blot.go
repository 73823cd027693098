package cloudwatch

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// blot stands for a secret.
const blot = "*****"

// named finds what answers to a bad signature quote, the canonical request, by
// the names of its confidential parts.
var named = regexp.MustCompile(`(?i)\b(x-amz-security-token|authorization|aws-?secret-?access-?key|aws-?session-?token|sessiontoken|secretaccesskey)("?\s*[:=]\s*"?)[^\s"'<>]+`)

// signed finds the parts of an Authorization header, and jwt what looks like a
// JSON Web Token, such as that of a web identity.
var (
	signed = regexp.MustCompile(`(?i)\b(Signature=)[0-9a-f]{8,}`)
	jwt    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}[A-Za-z0-9_.-]*`)
)

// sentSecrets returns what was confidential in the request whose answer is an
// error. The secret access key is never sent.
func sentSecrets(err error) (secrets []string) {
	e, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || e.Response == nil || e.Response.Response == nil || e.Response.Request == nil {
		return nil
	}
	h := e.Response.Request.Header
	for _, name := range []string{"X-Amz-Security-Token", "Authorization"} {
		secrets = append(secrets, h.Values(http.CanonicalHeaderKey(name))...)
	}
	return secrets
}

// blotOut hides the secrets that a text quotes.
func blotOut(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, blot)
		}
	}
	text = named.ReplaceAllString(text, "${1}${2}"+blot)
	return jwt.ReplaceAllString(signed.ReplaceAllString(text, "${1}"+blot), blot)
}
