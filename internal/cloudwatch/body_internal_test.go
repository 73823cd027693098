package cloudwatch

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// keeping answers each request with an empty object, and keeps the body of the last.
type keeping struct{ body io.Reader }

// Do implements aws.HTTPClient.
func (k *keeping) Do(r *http.Request) (*http.Response, error) {
	k.body = r.Body
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, err
}

// TestClosedBodyEnds looks at the body of a request once more after the SDK has closed
// it, as net/http does where it is late: it has ended, and has not failed.
func TestClosedBodyEnds(t *testing.T) {
	t.Parallel()
	k := &keeping{}
	cfg, err := LoadAWS(t.Context(), Config{Region: "eu-central-1"}, Deps{HTTPClient: k, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := logs.NewFromConfig(cfg).DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, k.body); n != 0 || err != nil {
		t.Errorf("got %d bytes and the error %v after the body was closed", n, err)
	}
}

// TestProxyOf finds the proxy of a client through what is put around it.
func TestProxyOf(t *testing.T) {
	t.Parallel()
	u := &url.URL{Scheme: "http", Host: "proxy.example.com:3128"}
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u)}}
	rule := ProxyOf(bounded{translated{c}})
	if rule == nil {
		t.Fatal("got no rule")
	}
	if got, err := rule(&http.Request{URL: &url.URL{Scheme: "https", Host: "logs.example.com"}}); err != nil || got.Host != u.Host {
		t.Errorf("got %v, %v", got, err)
	}
}
