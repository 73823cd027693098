package cloudwatch

import (
	"context"
	"time"
)

// CredentialsEnd returns when the credentials end with which the sink signs its calls;
// zero when they do not, or when that is not known. They are those that the SDK keeps:
// where they have ended it fetches others, and the error says why there are none. It has
// the words of a failed call, and no secret.
func (s *Sink) CredentialsEnd(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.RequestTimeout, errRequestTimeout)
	defer cancel()
	c, err := s.client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return time.Time{}, understand("credentials", err)
	}
	if !c.CanExpire {
		return time.Time{}, nil
	}
	return c.Expires, nil
}
