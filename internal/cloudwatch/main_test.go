package cloudwatch_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain keeps the tests away from the credentials and the settings of whoever
// runs them, and from instance metadata.
func TestMain(m *testing.M) {
	for _, v := range []string{
		"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	} {
		must(os.Unsetenv(v))
	}
	must(os.Setenv("AWS_CONFIG_FILE", os.DevNull))
	must(os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull))
	must(os.Setenv("AWS_EC2_METADATA_DISABLED", "true"))
	goleak.VerifyTestMain(m,
		// The SDK goes on asking silent instance metadata for five seconds after
		// the call that wanted credentials has ended.
		goleak.IgnoreAnyFunction("github.com/aws/aws-sdk-go-v2/aws.(*CredentialsCache).singleRetrieve"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// must stops the tests when their surroundings cannot be made safe.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
