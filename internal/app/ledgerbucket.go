package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// bucketTimeout bounds a call to S3, of which none moves more than a megabyte or so.
const bucketTimeout = 30 * time.Second

// maxEntry is how much is read of an object, in bytes: an entry has at most a megabyte.
const maxEntry = 4 << 20

// A ledgerBucket is a place in S3 that the ledger of a destination is published to: an
// object for each entry, which is written once. It is a ledger.Place.
type ledgerBucket struct {
	client         *s3.Client
	bucket, prefix string // no slash at its ends
	kms            string
	// below is what the keys of the destination begin with, a slash at its end.
	below string
}

// newLedgerBucket makes one of a URL, which is that of the configuration or of an auditor.
func (a *App) newLedgerBucket(ctx context.Context, cfg *config.Config, url, tenant, destination string) (*ledgerBucket, error) {
	bucket, prefix, ok := config.SplitS3URL(url)
	if !ok {
		return nil, &pipeline.Error{Op: "read the ledger", Class: pipeline.Misconfigured, Err: fmt.Errorf("%q: %w", url, errBucketURL), Hint: "Write it like s3://audit-bucket/gapless."}
	}
	reach := cfg.AWSForLedger()
	loaded, err := cloudwatch.LoadAWS(ctx, cloudwatch.Config{
		Region: reach.Region, Endpoint: reach.Endpoint, Profile: reach.Profile, RoleARN: reach.RoleARN, ExternalID: reach.ExternalID, RequestTimeout: bucketTimeout,
	}, cloudwatch.Deps{Logger: a.opts.Logger, HTTPClient: a.opts.AWSHTTP, Credentials: a.opts.AWSCredentials, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("set up S3 for the ledger: %w", err)
	}
	below := tenant + "/" + destination + "/"
	if prefix != "" {
		below = prefix + "/" + below
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = strings.Contains(bucket, ".") // which no certificate is for
		if reach.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(reach.Endpoint), true
		}
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return &ledgerBucket{client, bucket, prefix, cfg.Ledger.S3.KMSKeyID, below}, nil
}

// Errors of the bucket.
var (
	errBucketURL = errors.New("not the URL of a bucket")
	// errOtherBytes says that an object is not the entry that belongs there.
	errOtherBytes = errors.New("there is an object already, and it is not the entry of the ledger that belongs there")
	errLongObject = errors.New("the object is too long for an entry of the ledger")
)

// Name tells the bucket from other places.
func (b *ledgerBucket) Name() string {
	return strings.TrimSuffix("s3://"+b.bucket+"/"+b.prefix, "/")
}

// key is the key of an entry: in the order of the keys is that of the chain.
func (b *ledgerBucket) key(e *ledger.Entry) string {
	at := e.SealedAt.UTC()
	return fmt.Sprintf("%s%s/%s-%s-%09d.json", b.below, at.Format("2006/01/02"), at.Format("20060102T150405Z"), e.Chain, e.Seq)
}

// Publish puts the entries there, one after the other.
func (b *ledgerBucket) Publish(ctx context.Context, list []ledger.Outgoing) error {
	for _, o := range list {
		e, err := ledger.Parse(o.Line)
		if err != nil {
			return fmt.Errorf("publish the ledger: %w", err)
		}
		if err := b.put(ctx, b.key(&e), append(bytes.Clone(o.Line), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// put writes an object, unless it is there with the same bytes.
func (b *ledgerBucket) put(ctx context.Context, key string, body []byte) error {
	call, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	in := &s3.PutObjectInput{
		Bucket: &b.bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/json"), IfNoneMatch: aws.String("*"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, // Object Lock demands one, and a torn object is none
	}
	if b.kms != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &b.kms
	}
	_, err := b.client.PutObject(call, in)
	if err == nil {
		return nil
	}
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || resp.HTTPStatusCode() != http.StatusPreconditionFailed {
		return b.explain("publish the ledger", "PutObject", err)
	}
	// Somebody was there before: a try of ours whose answer was lost, or no friend.
	found, err := b.get(ctx, key)
	if err != nil {
		return err
	}
	if !bytes.Equal(found, body) {
		return &pipeline.Error{
			Op: "publish the ledger", Class: pipeline.Unauthorized, Err: fmt.Errorf("%s/%s: %w", b.bucket, key, errOtherBytes),
			Hint: "Find out who wrote it. The store has the entry: gapless ledger export. Set ledger.s3.url to another prefix to publish all anew.",
		}
	}
	return nil
}

// get reads an object.
func (b *ledgerBucket) get(ctx context.Context, key string) (body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return nil, b.explain("read the ledger", "GetObject", err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	body, err = io.ReadAll(io.LimitReader(out.Body, maxEntry+1))
	if err != nil {
		return nil, b.explain("read the ledger", "GetObject", err)
	}
	if len(body) > maxEntry {
		return nil, fmt.Errorf("%s/%s: %w", b.bucket, key, errLongObject)
	}
	return body, nil
}

// explain says what an error means, and what to change.
func (b *ledgerBucket) explain(doing, operation string, err error) error {
	e := cloudwatch.ExplainAWS(doing, operation, err)
	if e.Hint != "" {
		return e
	}
	action, on := operation, b.bucket+"/"+b.below+"*"
	if operation == "ListObjectsV2" {
		action, on = "ListBucket", b.bucket
	}
	e.Hint = fmt.Sprintf("See whether the bucket %s is there, in the Region that is configured, and allow s3:%s on arn:aws:s3:::%s; with a KMS key its use too. docs/audit.md has the policy.", b.bucket, action, on)
	return e
}

// list calls each for pages of names: of objects below a prefix, or with a delimiter of
// what lies directly below it.
func (b *ledgerBucket) list(ctx context.Context, prefix, delimiter string, each func(keys, below []string) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &prefix}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	for {
		call, cancel := context.WithTimeout(ctx, bucketTimeout)
		out, err := b.client.ListObjectsV2(call, in)
		cancel()
		if err != nil {
			return b.explain("list the ledger", "ListObjectsV2", err)
		}
		var keys, below []string
		for _, o := range out.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
		for _, p := range out.CommonPrefixes {
			below = append(below, aws.ToString(p.Prefix))
		}
		if err := each(keys, below); err != nil {
			return err
		}
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextContinuationToken) == "" {
			return nil
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

// Head returns the last entry: it walks down the years, months and days.
func (b *ledgerBucket) Head(ctx context.Context) (h ledger.Head, found bool, err error) {
	at := b.below
	for range 3 { // year, month, day
		last := ""
		if err := b.list(ctx, at, "/", func(_, below []string) error {
			for _, p := range below {
				last = max(last, p)
			}
			return nil
		}); err != nil || last == "" {
			return h, false, err
		}
		at = last
	}
	key := ""
	if err := b.list(ctx, at, "", func(keys, _ []string) error {
		for _, k := range keys {
			if strings.HasSuffix(k, ".json") {
				key = max(key, k)
			}
		}
		return nil
	}); err != nil || key == "" {
		return h, false, err
	}
	body, err := b.get(ctx, key)
	if err != nil {
		return h, false, err
	}
	if e, err := ledger.Parse(body); err == nil {
		return e.Head(), true, nil
	}
	return h, false, nil
}

// reading is how many objects are read at once.
const readingObjects = 16

// read calls each for the entries that are there, in the order of their keys.
func (b *ledgerBucket) read(ctx context.Context, logger *slog.Logger, each func([]byte)) error {
	n := 0
	err := b.list(ctx, b.below, "", func(keys, _ []string) error {
		for len(keys) > 0 {
			some := keys[:min(readingObjects, len(keys))]
			keys = keys[len(some):]
			bodies, err := b.getAll(ctx, some)
			if err != nil {
				return err
			}
			for _, body := range bodies {
				each(body)
			}
			n += len(bodies)
		}
		return nil
	})
	logger.LogAttrs(ctx, slog.LevelDebug, "read the ledger", slog.String("place", b.Name()), slog.Int("objects", n))
	return err
}

// getAll reads objects at once.
func (b *ledgerBucket) getAll(ctx context.Context, keys []string) ([][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bodies, failed := make([][]byte, len(keys)), make(chan error, len(keys))
	for i, key := range keys {
		go func() {
			var err error
			bodies[i], err = b.get(ctx, key)
			failed <- err
		}()
	}
	var first error
	for range keys {
		if err := <-failed; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return bodies, first
}
