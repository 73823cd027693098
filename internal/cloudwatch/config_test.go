package cloudwatch_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	if err := cloudwatch.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (cloudwatch.Config{Region: "eu-central-1"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	many := make(map[string]string)
	for i := range 51 {
		many[strconv.Itoa(i)] = ""
	}
	cases := map[string]func(*cloudwatch.Config){
		"compression":     func(c *cloudwatch.Config) { c.Compression = "brotli" },
		"too_old":         func(c *cloudwatch.Config) { c.TooOld = "drop" },
		"too_new":         func(c *cloudwatch.Config) { c.TooNew = "drop" },
		"too_large":       func(c *cloudwatch.Config) { c.TooLarge = "restamp" },
		"log_group_class": func(c *cloudwatch.Config) { c.LogGroupClass = "standard" },
		"retention_days":  func(c *cloudwatch.Config) { c.RetentionDays = 10 },
		"linger":          func(c *cloudwatch.Config) { c.Linger = -time.Second },
		"request_timeout": func(c *cloudwatch.Config) { c.RequestTimeout = time.Hour },
		"external_id":     func(c *cloudwatch.Config) { c.ExternalID = "x" },
		"role_arn":        func(c *cloudwatch.Config) { c.RoleARN = "gapless" },
		"endpoint":        func(c *cloudwatch.Config) { c.Endpoint = "localhost:4566" },
		"tags: 51":        func(c *cloudwatch.Config) { c.Tags = many },
		`tags: ""`:        func(c *cloudwatch.Config) { c.Tags = map[string]string{"": "x"} },
		"tags: the value": func(c *cloudwatch.Config) { c.Tags = map[string]string{"k": "<"} },
	}
	for want, change := range cases {
		err := config(change).Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	_, err := cloudwatch.New(t.Context(), config(cases["linger"]), cloudwatch.Deps{})
	same(t, "class", pipeline.Misconfigured, pipeline.Classify(err).Class)
}

func deps() cloudwatch.Deps {
	return cloudwatch.Deps{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewPedanticRegistry(), Tenant: "example"}
}

func TestRegionIsRequired(t *testing.T) {
	t.Parallel()
	_, err := cloudwatch.New(t.Context(), cloudwatch.DefaultConfig(), deps())
	got := pipeline.Classify(err)
	if got.Class != pipeline.Misconfigured || !strings.Contains(got.Hint, "AWS_REGION") {
		t.Errorf("class %v, hint %q, error %v", got.Class, got.Hint, err)
	}
}

func TestUnknownProfile(t *testing.T) {
	t.Parallel()
	_, err := cloudwatch.New(t.Context(), config(func(c *cloudwatch.Config) { c.Profile = "nobody" }), deps())
	got := pipeline.Classify(err)
	if got.Class != pipeline.Misconfigured || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("class %v, error %v", got.Class, err)
	}
}

func TestNoCredentialsAnywhere(t *testing.T) {
	t.Parallel()
	s, err := cloudwatch.New(t.Context(), config(), deps())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Deliver(t.Context(), batch(ev("a", time.Now())))
	got := pipeline.Classify(err)
	if got.Class != pipeline.Unauthorized || !strings.Contains(got.Hint, "AWS_ACCESS_KEY_ID") || !strings.Contains(got.Hint, "aws sso login") && !strings.Contains(got.Hint, "aws configure sso") {
		t.Errorf("class %v, hint %q, error %v", got.Class, got.Hint, err)
	}
}

// TestSilentInstanceMetadata is a machine whose metadata address takes
// connections and says nothing, as behind some firewalls.
func TestSilentInstanceMetadata(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("NOT RUN: cannot listen on loopback: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+l.Addr().String())
	s, err := cloudwatch.New(t.Context(), config(func(c *cloudwatch.Config) { c.RequestTimeout = time.Second }), deps())
	if err != nil {
		t.Fatal(err)
	}
	err = s.Check(t.Context(), dest)
	if got := pipeline.Classify(err); got.Class != pipeline.Unauthorized {
		t.Errorf("class %v, error %v", got.Class, err)
	}
}

func TestRoleIsAssumed(t *testing.T) {
	t.Parallel()
	c := ready()
	sts := &stsServer{logs: c}
	open := func() *cloudwatch.Sink {
		s, _ := open(t, sts, config(func(c *cloudwatch.Config) {
			c.RoleARN, c.ExternalID = "arn:aws:iam::111122223333:role/gapless", "example-external"
		}))
		return s
	}
	deliver(t, open(), batch(ev("a", time.Now())))
	if auth := c.seen("PutLogEvents")[0].auth; !strings.Contains(auth, "Credential=ASIAROLE/") {
		t.Errorf("signed by %q, not by the role", auth)
	}
	for _, want := range []string{"RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fgapless", "ExternalId=example-external", "RoleSessionName=gapless-example"} {
		if !strings.Contains(sts.form, want) {
			t.Errorf("the request to STS lacks %s: %s", want, sts.form)
		}
	}
	sts.deny = true
	_, err := open().Deliver(t.Context(), batch(ev("a", time.Now())))
	if got := pipeline.Classify(err); got.Class != pipeline.Unauthorized || !strings.Contains(got.Hint, "trust policy") {
		t.Errorf("class %v, hint %q, error %v", got.Class, got.Hint, err)
	}
}

// TestRoleIsAssumedAtTheEndpoint: an emulator stands for STS as well; a private endpoint
// of AWS is for one service.
func TestRoleIsAssumedAtTheEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:4566":                                  "127.0.0.1:4566",
		"https://vpce-0a1b.logs.eu-central-1.vpce.amazonaws.com": "sts.us-east-1.amazonaws.com",
		"": "sts.us-east-1.amazonaws.com",
	} {
		sts := &stsServer{logs: ready()}
		s, _ := open(t, sts, config(func(c *cloudwatch.Config) {
			c.RoleARN, c.Region, c.Endpoint = "arn:aws:iam::111122223333:role/gapless", "us-east-1", endpoint
		}))
		deliver(t, s, batch(ev("a", time.Now())))
		if sts.host != want {
			t.Errorf("with the endpoint %q the role was assumed at %s, want %s", endpoint, sts.host, want)
		}
	}
}

// stsServer answers AssumeRole and hands everything else on.
type stsServer struct {
	logs http.Handler
	host string
	form string
	deny bool
}

func (s *stsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "" {
		s.logs.ServeHTTP(w, r)
		return
	}
	s.form, s.host = string(readBody(r, false)), r.Host
	if s.deny {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`)
		return
	}
	_, _ = fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}
