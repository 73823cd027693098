package provision

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// An AWS reaches the services of AWS as the person who sets up: with the Region, the
// endpoint and the profile of the section aws, and not with its role_arn, which is
// what gapless runs as.
type AWS struct {
	base     aws.Config
	endpoint string
}

// AWSOptions are what NewAWS takes beside the section aws.
type AWSOptions struct {
	// RoleARN and ExternalID are a role to assume first; none when empty.
	RoleARN, ExternalID string
	// HTTPClient makes the requests, and Credentials sign them; nil for those of the
	// SDK.
	HTTPClient  aws.HTTPClient
	Credentials aws.CredentialsProvider
	// Logger is told what the SDK says; nil discards it.
	Logger *slog.Logger
}

// NewAWS reads settings and credentials as the AWS SDK does. It calls nobody.
func NewAWS(ctx context.Context, section config.AWS, o AWSOptions) (*AWS, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	cfg, err := cloudwatch.LoadAWS(ctx, cloudwatch.Config{
		Region: section.Region, Profile: section.Profile,
	}, cloudwatch.Deps{HTTPClient: o.HTTPClient, Credentials: o.Credentials, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("reach AWS: %w", err)
	}
	cfg.Retryer = func() aws.Retryer { return retry.NewStandard() } // every call here may be made twice
	a := &AWS{base: cfg, endpoint: section.Endpoint}
	if o.RoleARN != "" {
		a.base.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(a.In("")), o.RoleARN, func(r *stscreds.AssumeRoleOptions) {
			r.RoleSessionName = "gapless-setup"
			if o.ExternalID != "" {
				r.ExternalID = aws.String(o.ExternalID)
			}
		}))
	}
	return a, nil
}

// Region is that of the configuration, or what the SDK found.
func (a *AWS) Region() string { return a.base.Region }

// In returns the configuration of clients for a Region; an empty one takes that of the
// configuration, for services that have none. It holds the endpoint, too.
func (a *AWS) In(region string) aws.Config {
	cfg := a.base.Copy()
	if region != "" {
		cfg.Region = region
	}
	if a.endpoint != "" {
		cfg.BaseEndpoint = aws.String(a.endpoint)
		cfg.ConfigSources = nil // variables and profiles that name others for single services
	}
	return cfg
}

// Values asks AWS for its account and partition.
func (a *AWS) Values(ctx context.Context) (Values, error) {
	out, err := sts.NewFromConfig(a.In("")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, failed("ask AWS for the account", err)
	}
	partition := "aws"
	if parts := strings.SplitN(aws.ToString(out.Arn), ":", 3); len(parts) == 3 && parts[1] != "" {
		partition = parts[1]
	}
	return Values{stack.Account: aws.ToString(out.Account), stack.Partition: partition}, nil
}
