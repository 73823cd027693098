package cloudwatch_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

// TestCallerIdentity has the real SDK ask who it is: the user of its key, or nobody in
// particular where there are no keys. Wrong keys are refused as STS does.
func TestCallerIdentity(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, id, secret string
		keys             []cloudwatch.AccessKey
		arn, code        string
	}{
		{name: "no keys", id: "any", secret: "any", arn: "arn:aws:iam::123456789012:user/emulator"},
		{name: "user", id: "AKIDEXAMPLE", secret: "s", keys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "s", User: "gapless"}}, arn: "arn:aws:iam::123456789012:user/gapless"},
		{name: "wrong secret", id: "AKIDEXAMPLE", secret: "t", keys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "s"}}, code: "SignatureDoesNotMatch"},
		{name: "wrong key", id: "AKIDOTHER", secret: "s", keys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "s"}}, code: "InvalidClientTokenId"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			b := newBenchWith(t, cloudwatch.Options{AccessKeys: x.keys})
			client := sts.New(sts.Options{
				Region: "eu-central-1", BaseEndpoint: aws.String("http://aws.example.com"), HTTPClient: &http.Client{Transport: emulator.Transport(b.server)},
				Credentials: credentials.NewStaticCredentialsProvider(x.id, x.secret, ""), Retryer: aws.NopRetryer{},
			})
			out, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			if x.code != "" {
				if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != x.code {
					t.Errorf("error %v, want %s", err, x.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := aws.ToString(out.Arn); got != x.arn || aws.ToString(out.Account) != "123456789012" {
				t.Errorf("%s in %s, want %s", got, aws.ToString(out.Account), x.arn)
			}
			if n := b.server.Stats().Calls["GetCallerIdentity"]; n != 1 {
				t.Errorf("%d calls are counted", n)
			}
		})
	}
}
