package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// AWSSecrets reads secrets from AWS Secrets Manager and AWS Systems Manager. It
// takes the Region, the profile and the endpoint of the aws section and the
// process's own credentials: the role of that section belongs to the
// destination. The Region in an ARN goes before that of the section.
type AWSSecrets struct {
	settings AWS
	client   aws.HTTPClient
	load     func(ctx context.Context) (aws.Config, error)
}

// NewAWSSecrets makes an AWSSecrets. Nothing is called, and no credentials are
// looked for, before the first secret is read. client may be nil for the SDK's
// own.
func NewAWSSecrets(settings AWS, client aws.HTTPClient) *AWSSecrets {
	a := &AWSSecrets{settings: settings, client: client}
	var mu sync.Mutex
	var loaded *aws.Config
	a.load = func(ctx context.Context) (aws.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		if loaded == nil {
			cfg, err := awsconfig.LoadDefaultConfig(ctx, a.options()...)
			if err != nil {
				return aws.Config{}, fmt.Errorf("load AWS settings: %w", err)
			}
			loaded = &cfg
		}
		return *loaded, nil
	}
	return a
}

// options turns the aws section into those of the SDK.
func (a *AWSSecrets) options() []func(*awsconfig.LoadOptions) error {
	opts := []func(*awsconfig.LoadOptions) error{awsconfig.WithLogger(logging.Nop{})} // it would write to standard error
	if a.settings.Region != "" {
		opts = append(opts, awsconfig.WithRegion(a.settings.Region))
	}
	if a.settings.Profile != "" {
		opts = append(opts, awsconfig.WithSharedConfigProfile(a.settings.Profile))
	}
	return opts
}

// SecretValue returns the text of a secret, by its name or ARN.
func (a *AWSSecrets) SecretValue(ctx context.Context, id string) (string, error) {
	cfg, err := a.load(ctx)
	if err != nil {
		return "", err
	}
	client := secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.Region = regionOf(id, o.Region)
		if a.settings.Endpoint != "" {
			o.BaseEndpoint = &a.settings.Endpoint
		}
		if a.client != nil { // here, because the SDK refuses one beside AWS_CA_BUNDLE
			o.HTTPClient = a.client
		}
	})
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if notFound, ok := errors.AsType[*smtypes.ResourceNotFoundException](err); ok && notFound != nil {
		return "", fmt.Errorf("the secret %w", ErrSecretMissing)
	}
	if err != nil {
		return "", awsError("get secret", err)
	}
	if out.SecretString == nil {
		return string(out.SecretBinary), nil
	}
	return *out.SecretString, nil
}

// Parameter returns the decrypted value of a parameter, by its name or ARN.
func (a *AWSSecrets) Parameter(ctx context.Context, name string) (string, error) {
	cfg, err := a.load(ctx)
	if err != nil {
		return "", err
	}
	client := ssm.NewFromConfig(cfg, func(o *ssm.Options) {
		o.Region = regionOf(name, o.Region)
		if a.settings.Endpoint != "" {
			o.BaseEndpoint = &a.settings.Endpoint
		}
		if a.client != nil { // here, because the SDK refuses one beside AWS_CA_BUNDLE
			o.HTTPClient = a.client
		}
	})
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if notFound, ok := errors.AsType[*ssmtypes.ParameterNotFound](err); ok && notFound != nil {
		return "", fmt.Errorf("the parameter %w", ErrSecretMissing)
	}
	if err != nil {
		return "", awsError("get parameter", err)
	}
	if out.Parameter == nil || out.Parameter.Value == nil {
		return "", nil
	}
	return *out.Parameter.Value, nil
}

// regionOf returns the Region in an ARN, or the other one.
func regionOf(id, other string) string {
	if parts := strings.SplitN(id, ":", 6); len(parts) == 6 && parts[0] == "arn" && parts[3] != "" {
		return parts[3]
	}
	return other
}

// awsError shortens an error of the SDK to what a person can act on. An answer
// that could not be read is left out of it: it may hold the secret.
func awsError(op string, err error) error {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("%s: %s: %s", op, answer.ErrorCode(), answer.ErrorMessage())
	}
	if bad, ok := errors.AsType[*smithy.DeserializationError](err); ok && bad != nil {
		return fmt.Errorf("%s: the answer could not be read", op)
	}
	return fmt.Errorf("%s: %w", op, err)
}
