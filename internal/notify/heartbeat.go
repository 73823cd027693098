package notify

import (
	"context"
	"net/http"
)

// A Heartbeat calls a URL as long as all is well, so that whoever waits for it notices
// that gapless, its machine or its network is gone.
type Heartbeat struct {
	// URL is called while all is well. FailURL, when it is set, is called while it is not.
	// Both are secrets.
	URL, FailURL Secret
	// Method is GET or POST.
	Method string
	Client *http.Client
	Agent  string
}

// Beat implements Beater.
func (h *Heartbeat) Beat(ctx context.Context, b Beat) error {
	switch {
	case b.Healthy:
		return h.call(ctx, h.URL)
	case h.FailURL != nil:
		return h.call(ctx, h.FailURL)
	default:
		return nil // silence says it
	}
}

// Test implements Beater. The beat says that it is a test; a service that does not look
// at that takes it for a beat.
func (h *Heartbeat) Test(ctx context.Context) error {
	return request{client: h.Client, method: h.Method, url: h.URL, agent: h.Agent, plain: http.Header{"Gapless-About": {AboutTest}}}.send(ctx)
}

// Ready reports whether there are URLs to call.
func (h *Heartbeat) Ready(ctx context.Context) error {
	for _, url := range []Secret{h.URL, h.FailURL} {
		if url == nil {
			continue
		}
		if err := (request{client: h.Client, method: h.Method, url: url, agent: h.Agent}).ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (h *Heartbeat) call(ctx context.Context, url Secret) error {
	return request{client: h.Client, method: h.Method, url: url, agent: h.Agent}.send(ctx)
}
