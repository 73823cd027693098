package config

import (
	"net/url"
	"strconv"
	"strings"
)

// partnerPrefix begins the names of Auth0's partner event sources.
const partnerPrefix = "aws.partner/auth0.com/"

// RegionOfQueue reads the Region out of the URL of a queue at AWS; empty when it
// names none.
func RegionOfQueue(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	host := strings.Split(u.Hostname(), ".")
	switch { // sqs.REGION.amazonaws.com, and REGION.queue.amazonaws.com of old
	case len(host) >= 4 && (host[0] == "sqs" || host[0] == "sqs-fips"):
		return host[1]
	case len(host) >= 4 && host[1] == "queue":
		return host[0]
	default:
		return ""
	}
}

// checkSQS checks a tenant's queue by itself. path ends with a dot.
func (l *loader) checkSQS(path string, q SQS) {
	l.checkEndpoint(path+"endpoint", q.Endpoint)
	if q.QueueURL == "" {
		for _, x := range []struct{ name, value string }{{"region", q.Region}, {"endpoint", q.Endpoint}, {"source", q.Source}, {"tenant_name", q.TenantName}} {
			if x.value != "" {
				l.complain(path+x.name, "is set, and queue_url is not", "Set queue_url, or remove it.")
			}
		}
		return
	}
	u, err := url.Parse(q.QueueURL)
	switch {
	case err != nil || !isHTTP(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") == "":
		l.complain(path+"queue_url", "is not the URL of a queue", "Write it like https://sqs.eu-central-1.amazonaws.com/123456789012/auth0; `aws sqs get-queue-url --queue-name auth0` shows it.")
	case strings.HasSuffix(u.Path, ".fifo"):
		l.complain(path+"queue_url", "is that of a FIFO queue", "Use a standard queue: one event that waits would hold up the others of its group.")
	}
	if q.Source != "" && (!strings.HasPrefix(q.Source, partnerPrefix) || len(q.Source) == len(partnerPrefix)) {
		l.complain(path+"source", quote(q.Source)+" is no event source of Auth0", "Write it like "+partnerPrefix+"dev-tenant-.../auth0.logs, as the log stream shows it.")
	}
}

// checkQueues checks that tenants which share a queue can be told apart.
func (l *loader) checkQueues() {
	readers, taken := map[string][]int{}, map[string]bool{}
	for i, t := range l.cfg.Tenants {
		if t.SQS.QueueURL != "" {
			readers[t.SQS.QueueURL] = append(readers[t.SQS.QueueURL], i)
		}
	}
	for i, t := range l.cfg.Tenants {
		q, path := t.SQS, "tenants."+strconv.Itoa(i)+".sqs."
		if len(readers[q.QueueURL]) < 2 {
			continue
		}
		if q.Source == "" && q.TenantName == "" {
			l.complain(path+"queue_url", "is that of another tenant too, and nothing tells the events of the two apart", "Set sqs.source or sqs.tenant_name for each tenant of the queue.")
		}
		for _, x := range []struct{ name, value string }{{"source", q.Source}, {"tenant_name", q.TenantName}} {
			key := q.QueueURL + " " + x.name + " " + x.value
			if x.value != "" && taken[key] {
				l.complain(path+x.name, "is that of another tenant of the queue too", "Give each tenant its own.")
			}
			taken[key] = true
		}
	}
}
