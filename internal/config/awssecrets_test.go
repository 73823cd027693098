package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
)

// handlerClient is an HTTP client that calls a handler in place of a network.
type handlerClient struct{ http.Handler }

// Do answers a request by the handler.
func (c handlerClient) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result(), r.Context().Err()
}

// isolate gives a test AWS credentials of its own and none of the machine's.
func isolate(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// fakeAWS answers as Secrets Manager and Systems Manager do, and notes where it
// was asked.
type fakeAWS struct{ hosts []string }

// ServeHTTP answers one call.
func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.hosts = append(f.hosts, r.URL.Host)
	var in struct {
		SecretID       string `json:"SecretId"`       //nolint:tagliatelle // AWS's name
		Name           string `json:"Name"`           //nolint:tagliatelle // AWS's name
		WithDecryption bool   `json:"WithDecryption"` //nolint:tagliatelle // AWS's name
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch id := in.SecretID + in.Name; {
	case strings.HasSuffix(id, "missing") && in.Name != "":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ParameterNotFound","message":""}`)
	case strings.HasSuffix(id, "missing"):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ResourceNotFoundException","message":"Secrets Manager can't find the specified secret."}`)
	case strings.HasSuffix(id, "denied"):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"no permission"}`)
	case strings.HasSuffix(id, "garbage"):
		_, _ = io.WriteString(w, `{"SecretString": `+canary)
	case strings.HasSuffix(id, "binary"):
		_, _ = io.WriteString(w, `{"SecretBinary":"YmluYXJ5"}`)
	case strings.HasSuffix(id, "json"):
		_, _ = io.WriteString(w, `{"SecretString":"{\"client_secret\":\"inner\",\"number\":1}"}`)
	case in.Name != "" && in.WithDecryption:
		_, _ = io.WriteString(w, `{"Parameter":{"Name":"x","Value":"parameter"}}`)
	case in.Name != "":
		_, _ = io.WriteString(w, `{"Parameter":{"Name":"x","Value":"encrypted"}}`)
	default:
		_, _ = io.WriteString(w, `{"SecretString":"`+canary+`"}`)
	}
}

func TestAWSSecrets(t *testing.T) {
	isolate(t)
	for _, c := range []struct {
		text, want, host string
		err              string
		is               error
	}{
		{text: "aws-secretsmanager:plain", want: canary},
		{text: "aws-secretsmanager:binary", want: "binary"},
		{text: "aws-secretsmanager:json#client_secret", want: "inner"},
		{text: "aws-secretsmanager:json#other", is: config.ErrSecretMissing, err: `resolve aws-secretsmanager:json#other: the key "other" of the secret does not exist`},
		{text: "aws-secretsmanager:json#number", err: `resolve aws-secretsmanager:json#number: the key "number" of the secret holds no text`},
		{text: "aws-secretsmanager:plain#x", err: `resolve aws-secretsmanager:plain#x: the secret is no JSON object, so it has no key "x"`},
		{text: "aws-secretsmanager:missing", is: config.ErrSecretMissing, err: "resolve aws-secretsmanager:missing: the secret does not exist"},
		{text: "aws-secretsmanager:denied", err: "resolve aws-secretsmanager:denied: get secret: AccessDeniedException: no permission"},
		{text: "aws-secretsmanager:garbage", err: "resolve aws-secretsmanager:garbage: get secret: the answer could not be read"},
		{text: "aws-secretsmanager:arn:aws:secretsmanager:us-east-1:123456789012:secret:x", want: canary, host: "secretsmanager.us-east-1.amazonaws.com"},
		{text: "aws-ssm:/x", want: "parameter"},
		{text: "aws-ssm:missing", is: config.ErrSecretMissing, err: "resolve aws-ssm:missing: the parameter does not exist"},
		{text: "aws-ssm:denied", err: "resolve aws-ssm:denied: get parameter: AccessDeniedException: no permission"},
		{text: "aws-ssm:arn:aws:ssm:us-east-1:123456789012:parameter/x", want: "parameter", host: "ssm.us-east-1.amazonaws.com"},
	} {
		t.Run(c.text, func(t *testing.T) {
			fake := &fakeAWS{}
			r := config.Resolver{AWS: config.NewAWSSecrets(config.AWS{Region: "eu-central-1"}, handlerClient{fake})}
			got, err := secret(t, c.text).Resolve(t.Context(), r)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != c.want || text != c.err || (c.is != nil && !errors.Is(err, c.is)) {
				t.Errorf("got %q, %q; want %q, %q", got, text, c.want, c.err)
			}
			if strings.Contains(text, canary) {
				t.Error("the error shows the secret")
			}
			host := c.host
			if host == "" {
				host = map[bool]string{true: "ssm", false: "secretsmanager"}[strings.HasPrefix(c.text, "aws-ssm")] + ".eu-central-1.amazonaws.com"
			}
			if fake.hosts[0] != host {
				t.Errorf("asked %s, want %s", fake.hosts[0], host)
			}
		})
	}
}

func TestAWSSecretsEndpoint(t *testing.T) {
	isolate(t)
	fake := &fakeAWS{}
	aws := config.NewAWSSecrets(config.AWS{Region: "eu-central-1", Endpoint: "http://127.0.0.1:4566"}, handlerClient{fake})
	for _, text := range []string{"aws-secretsmanager:plain", "aws-ssm:x"} {
		if _, err := secret(t, text).Resolve(t.Context(), config.Resolver{AWS: aws}); err != nil {
			t.Error(err)
		}
	}
	if strings.Join(fake.hosts, " ") != "127.0.0.1:4566 127.0.0.1:4566" {
		t.Errorf("asked %q", fake.hosts)
	}
}

// TestAWSSecretsTimeout lets AWS be silent, in fake time.
func TestAWSSecretsTimeout(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		r := config.Resolver{AWS: config.NewAWSSecrets(config.AWS{Region: "eu-central-1"}, handlerClient{silent})}
		_, err := secret(t, "aws-ssm:x").Resolve(t.Context(), r)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
	})
}

func TestAWSSecretsUnknownProfile(t *testing.T) {
	isolate(t)
	r := config.Resolver{AWS: config.NewAWSSecrets(config.AWS{Profile: "nobody"}, nil)}
	for _, text := range []string{"aws-ssm:x", "aws-secretsmanager:x"} {
		if _, err := secret(t, text).Resolve(t.Context(), r); err == nil || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("%s: got %v, want an error about the profile", text, err)
		}
	}
}

// TestAWSSecretsFromMoto reads secrets from an independent implementation.
func TestAWSSecretsFromMoto(t *testing.T) {
	isolate(t)
	endpoint := moto.Start(t)
	cfg, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithRegion("eu-central-1"), awsconfig.WithBaseEndpoint(endpoint),
		awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("gapless/dev"), SecretString: aws.String(`{"client_secret":"from moto"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := ssm.NewFromConfig(cfg).PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/gapless/dev"), Value: aws.String("from ssm"), Type: ssmtypes.ParameterTypeSecureString}); err != nil {
		t.Fatal(err)
	}
	r := config.Resolver{AWS: config.NewAWSSecrets(config.AWS{Region: "eu-central-1", Endpoint: endpoint}, nil)}
	for text, want := range map[string]string{
		"aws-secretsmanager:gapless/dev#client_secret": "from moto",
		"aws-ssm:/gapless/dev":                         "from ssm",
	} {
		if got, err := secret(t, text).Resolve(t.Context(), r); err != nil || got != want {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"aws-secretsmanager:no", "aws-ssm:no"} {
		if _, err := secret(t, text).Resolve(t.Context(), r); !errors.Is(err, config.ErrSecretMissing) {
			t.Errorf("%s: got %v, want ErrSecretMissing", text, err)
		}
	}
}
