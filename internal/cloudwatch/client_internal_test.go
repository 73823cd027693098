package cloudwatch

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"
)

// TestSDKSpeaksThroughTheLogger keeps what the SDK wants to say away from
// standard error, and on one line.
func TestSDKSpeaksThroughTheLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := DefaultConfig()
	c.Region = "eu-central-1"
	client, _, err := newClient(t.Context(), c, Deps{Logger: logger, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	client.Options().Logger.Logf(logging.Warn, "falling back\nto %s", "something")
	if got := out.String(); !strings.Contains(got, "level=DEBUG") || !strings.Contains(got, `text="falling back to something"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
}
