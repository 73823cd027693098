package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/config"
)

// valid returns a configuration with nothing wrong.
func valid(t *testing.T) *config.Config {
	t.Helper()
	return mustLoad(t, minimal)
}

func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 513)
	for name, c := range map[string]struct {
		change func(c *config.Config)
		want   string // empty for none
	}{
		"nothing":             {func(*config.Config) {}, ""},
		"no data dir":         {func(c *config.Config) { c.DataDir = "" }, "data_dir is not set, and there is no home directory to choose one in"},
		"no tenants":          {func(c *config.Config) { c.Tenants = nil }, "tenants holds no tenant to export"},
		"listen off":          {func(c *config.Config) { c.Listen = "" }, ""},
		"listen any":          {func(c *config.Config) { c.Listen = ":0" }, ""},
		"listen without port": {func(c *config.Config) { c.Listen = "localhost" }, `listen "localhost" is not host:port`},
		"listen far port":     {func(c *config.Config) { c.Listen = "localhost:70000" }, `listen "localhost:70000" is not host:port`},
		"endpoint":            {func(c *config.Config) { c.AWS.Endpoint = "localhost:4566" }, "aws.endpoint is not a base URL"},
		"endpoint with key":   {func(c *config.Config) { c.AWS.Endpoint = "http://u:p@localhost" }, "aws.endpoint is not a base URL"},
		"role":                {func(c *config.Config) { c.AWS.RoleARN = "gapless" }, `aws.role_arn "gapless" is not the ARN of a role`},
		"role in China":       {func(c *config.Config) { c.AWS.RoleARN = "arn:aws-cn:iam::123456789012:role/a/b" }, ""},
		"bucket":              {func(c *config.Config) { c.Ledger.S3.URL = "s3://audit.bucket/a/b-c/" }, ""},
		"bucket alone":        {func(c *config.Config) { c.Ledger.S3.URL = "s3://audit" }, ""},
		"bucket as path":      {func(c *config.Config) { c.Ledger.S3.URL = "audit/a" }, `ledger.s3.url "audit/a" is not the URL of a bucket`},
		"bucket of a space":   {func(c *config.Config) { c.Ledger.S3.URL = "s3://audit/a b" }, `ledger.s3.url "s3://audit/a..." is not the URL of a bucket`},
		"bucket in capitals":  {func(c *config.Config) { c.Ledger.S3.URL = "s3://Audit" }, `ledger.s3.url "s3://Audit" is not the URL of a bucket`},
		"bucket's endpoint":   {func(c *config.Config) { c.Ledger.S3.Endpoint = "localhost" }, "ledger.s3.endpoint is not a base URL"},
		"bucket's key":        {func(c *config.Config) { c.Ledger.S3.KMSKeyID = long }, "ledger.s3.kms_key_id is longer than 256 characters"},
		"level":               {func(c *config.Config) { c.Log.Level = "trace" }, `log.level "trace" is not a value it can take`},
		"buffer":              {func(c *config.Config) { c.MaxBufferBytes = 1 }, "max_buffer_bytes 1 is less than the least, 16MiB"},
		"window":              {func(c *config.Config) { c.DedupWindow = 1 }, "dedup_window 1ns is less than the least, 1h"},
		"name with space":     {tenant(func(t *config.Tenant) { t.Name = "a b" }), `tenants.0.name "a..." is not a name`},
		"name of dots":        {tenant(func(t *config.Tenant) { t.Name = ".." }), `tenants.0.name ".." is not a name`},
		"capital name":        {tenant(func(t *config.Tenant) { t.Name = "Dev" }), `tenants.0.name "Dev" is not a name`},
		"no client":           {tenant(func(t *config.Tenant) { t.ClientID = "" }), "tenants.0.client_id is missing"},
		"domain as URL":       {tenant(func(t *config.Tenant) { t.Domain = "http://[::1]:4010" }), ""},
		"domain with slash":   {tenant(func(t *config.Tenant) { t.Domain = "https://dev.example.com/" }), ""},
		"domain with port":    {tenant(func(t *config.Tenant) { t.Domain = "dev.example.com:8443" }), ""},
		"domain with path":    {tenant(func(t *config.Tenant) { t.Domain = "dev.example.com/api/v2/" }), `tenants.0.domain "dev.example.com/api/v2/" holds more than a domain`},
		"domain of ftp":       {tenant(func(t *config.Tenant) { t.Domain = "ftp://dev.example.com" }), "tenants.0.domain is not a domain"},
		"domain with user":    {tenant(func(t *config.Tenant) { t.Domain = "https://u:p@dev.example.com" }), "tenants.0.domain is not a domain"},
		"domain with space":   {tenant(func(t *config.Tenant) { t.Domain = "dev example.com" }), "tenants.0.domain is not a domain"},
		"audience":            {tenant(func(t *config.Tenant) { t.Audience = "api" }), `tenants.0.audience "api" is not a URL`},
		"start":               {tenant(func(t *config.Tenant) { t.StartFrom = "now" }), `tenants.0.start_from "now" is no starting point`},
		"no secret":           {tenant(func(t *config.Tenant) { t.ClientSecret = config.Secret{} }), "tenants.0.client_secret is missing, and so is private_key"},
		"algorithm":           {tenant(func(t *config.Tenant) { t.PrivateKeyAlg = "HS256" }), `tenants.0.private_key_alg "HS256" is not a value it can take`},
		"share":               {tenant(func(t *config.Tenant) { t.RateShare = 0 }), "tenants.0.rate_share 0 is less than the least, 0.01"},
		"group empty":         {cloudwatch(func(c *config.CloudWatch) { c.LogGroup = "" }), "tenants.0.cloudwatch.log_group is empty"},
		"group of AWS":        {cloudwatch(func(c *config.CloudWatch) { c.LogGroup = "aws/x" }), "tenants.0.cloudwatch.log_group begins with aws/, which AWS keeps for itself"},
		"group with colon":    {cloudwatch(func(c *config.CloudWatch) { c.LogGroup = "a:b" }), "tenants.0.cloudwatch.log_group holds characters that no log group may have"},
		"group too long":      {cloudwatch(func(c *config.CloudWatch) { c.LogGroup = long }), "tenants.0.cloudwatch.log_group makes a name of more than 512 characters"},
		"group placeholders":  {cloudwatch(func(c *config.CloudWatch) { c.LogGroup = "/{tenant}/{date}/{type}/{category}" }), ""},
		"values too long":     {cloudwatch(func(c *config.CloudWatch) { c.LogStream = strings.Repeat("{client}", 8) + "x" }), "tenants.0.cloudwatch.log_stream makes a name of more than 512 characters"},
		"all placeholders":    {cloudwatch(func(c *config.CloudWatch) { c.LogStream = "{" + strings.Join(config.Placeholders(), "}/{") + "}" }), ""},
		"unknown placeholder": {cloudwatch(func(c *config.CloudWatch) { c.LogGroup = "/{minute}" }), `tenants.0.cloudwatch.log_group "{minute}" is no known placeholder`},
		"lone brace":          {cloudwatch(func(c *config.CloudWatch) { c.LogStream = "{tenant" }), "tenants.0.cloudwatch.log_stream holds a brace without its partner"},
		"stream with star":    {cloudwatch(func(c *config.CloudWatch) { c.LogStream = "a*" }), "tenants.0.cloudwatch.log_stream holds a ':' or a '*', which no log stream may have"},
		"stream with space":   {cloudwatch(func(c *config.CloudWatch) { c.LogStream = "a b" }), ""},
		"retention":           {cloudwatch(func(c *config.CloudWatch) { c.RetentionDays = 2 }), `tenants.0.cloudwatch.retention_days "2" is not a value it can take`},
		"class":               {cloudwatch(func(c *config.CloudWatch) { c.LogGroupClass = "DELIVERY" }), `tenants.0.cloudwatch.log_group_class "DELIVERY" is not a value it can take`},
		"policy":              {cloudwatch(func(c *config.CloudWatch) { c.TooLarge = config.Restamp }), `tenants.0.cloudwatch.too_large "restamp" is not a value it can take`},
		"key":                 {cloudwatch(func(c *config.CloudWatch) { c.KMSKeyID = long }), "tenants.0.cloudwatch.kms_key_id is longer than 256 characters"},
		"tag of AWS":          {cloudwatch(func(c *config.CloudWatch) { c.Tags = map[string]string{"aws:x": "1"} }), "tenants.0.cloudwatch.tags.aws:x is not a tag key that AWS takes"},
		"tag value":           {cloudwatch(func(c *config.CloudWatch) { c.Tags = map[string]string{"x": "a!"} }), "tenants.0.cloudwatch.tags.x has a value that AWS does not take"},
		"many tags":           {cloudwatch(manyTags), "tenants.0.cloudwatch.tags has 51 tags; AWS takes 50"},
		"two with a name":     {func(c *config.Config) { c.Tenants = append(c.Tenants, c.Tenants[0]) }, `tenants.1.name is "dev", like that of tenants.0`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := valid(t)
			c.change(cfg)
			got := problems(t, cfg.Validate())
			for i := range got { // where it was read does not matter here
				if _, after, ok := strings.Cut(got[i], ": "); ok && strings.HasPrefix(got[i], "g.yaml:") {
					got[i] = after
				}
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0] != c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// tenant makes a change of the first tenant.
func tenant(change func(*config.Tenant)) func(*config.Config) {
	return func(c *config.Config) { change(&c.Tenants[0]) }
}

// cloudwatch makes a change of the first tenant's destination.
func cloudwatch(change func(*config.CloudWatch)) func(*config.Config) {
	return tenant(func(t *config.Tenant) { change(&t.CloudWatch) })
}

// manyTags sets one tag too many.
func manyTags(c *config.CloudWatch) {
	c.Tags = map[string]string{}
	for i := range 51 {
		c.Tags[fmt.Sprintf("k%d", i)] = ""
	}
}

func TestValidateOfAZeroConfig(t *testing.T) {
	t.Parallel()
	if err := (&config.Config{}).Validate(); err == nil {
		t.Error("a configuration without anything is valid")
	}
}

func TestPrivateKeys(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8 := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"PKCS 1":    {encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), true},
		"PKCS 8":    {encode("PRIVATE KEY", pkcs8(key)), true},
		"elliptic":  {encode("PRIVATE KEY", pkcs8(elliptic)), false},
		"not PEM":   {"hello", false},
		"reference": {"file:key.pem", true},
	} {
		cfg := valid(t)
		cfg.Tenants[0].ClientSecret = config.Secret{}
		cfg.Tenants[0].PrivateKey = secret(t, c.text)
		if err := cfg.Validate(); (err == nil) != c.good {
			t.Errorf("%s: got %v", name, err)
		}
	}
	cfg := valid(t)
	cfg.Tenants[0].PrivateKey = secret(t, "file:key.pem")
	if got := problems(t, cfg.Validate()); len(got) != 1 || !strings.Contains(got[0], "is set, and so is client_secret") {
		t.Errorf("both: got %q", got)
	}
}
