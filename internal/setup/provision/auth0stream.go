package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// sameStream returns the log stream of a list that stands in the place of a wanted
// one, nil when there is none: of its name and type, and of several the one that goes
// where it is to go.
func sameStream(list []auth0.LogStream, w *stack.Auth0Stream, account string) *auth0.LogStream {
	var found *auth0.LogStream
	for i := range list {
		l := &list[i]
		if l.Name != w.Name || l.Type != w.Type {
			continue
		}
		if l.Endpoint == w.Endpoint && l.AWSRegion == w.AWSRegion && (account == "" || l.AWSAccount == account) {
			return l
		}
		if found == nil {
			found = l
		}
	}
	return found
}

// stream looks for the log stream in the tenant; nil when there is none. note tells of
// others of the name.
func (p *auth0Provider) stream(ctx context.Context, m *auth0.Manager, w *stack.Auth0Stream, v Values) (l *auth0.LogStream, note string, err error) {
	list, err := m.LogStreams(ctx)
	if err != nil {
		return nil, "", err
	}
	account, _ := Fill(w.AWSAccount, v)
	l = sameStream(list, w, account)
	for i := range list {
		if list[i].Name == w.Name && (l == nil || list[i].ID != l.ID) {
			note = fmt.Sprintf("there is another log stream of the name, %s of the type %s", list[i].ID, list[i].Type)
		}
	}
	return l, note, nil
}

// keepStream keeps what Auth0 has given to a log stream.
func keepStream(l *auth0.LogStream, w *stack.Auth0Stream, v Values) {
	v[stack.Ref(w.ID().Kind, w.ID().Name, "id")] = l.ID
	if l.PartnerSource != "" {
		v[stack.Ref(w.ID().Kind, w.ID().Name, "partner_event_source")] = l.PartnerSource
	}
}

// findStream looks for the log stream.
func (p *auth0Provider) findStream(ctx context.Context, w *stack.Auth0Stream, v Values) (Found, error) {
	m, err := p.o.Manager(ctx, w.Tenant)
	if err != nil {
		return Found{}, err
	}
	l, note, err := p.stream(ctx, m, w, v)
	if err != nil {
		return Found{}, err
	}
	if l == nil {
		return Found{Note: note}, nil
	}
	keepStream(l, w, v)
	have := &stack.Auth0Stream{
		Tenant: w.Tenant, Name: l.Name, Type: l.Type, Endpoint: l.Endpoint, AWSAccount: l.AWSAccount, AWSRegion: l.AWSRegion,
		Categories: l.Categories, PIIFields: l.PIIFields, PIIMethod: l.PIIMethod,
	}
	if w.Authorization != "" { // which the stack leaves out where it cannot be read
		have.Authorization = l.Authorization.Reveal()
	}
	switch l.Status {
	case auth0.StreamPaused:
		note = "it is paused: Auth0 keeps its events for as long as the log, and no longer"
	case auth0.StreamSuspended:
		note = "Auth0 has suspended it, as pushing failed for seven days: make it go on in the Auth0 Dashboard (Monitoring, Streams) once it can be reached"
	}
	return Found{Resource: have, Ours: true, Note: note}, nil
}

// makeStream makes the log stream, unless an earlier try has.
func (p *auth0Provider) makeStream(ctx context.Context, w *stack.Auth0Stream, v Values) error {
	m, err := p.o.Manager(ctx, w.Tenant)
	if err != nil {
		return err
	}
	l, _, err := p.stream(ctx, m, w, v)
	if err != nil {
		return err
	}
	if l != nil {
		keepStream(l, w, v)
		return p.changeStream(ctx, w, v)
	}
	account, err := fill(w.AWSAccount, v)
	if err != nil {
		return err
	}
	made, err := m.CreateLogStream(ctx, auth0.LogStream{
		Name: w.Name, Type: w.Type, Endpoint: w.Endpoint, Authorization: auth0.Hide(w.Authorization), AWSAccount: account, AWSRegion: w.AWSRegion,
		Categories: w.Categories, PIIFields: w.PIIFields, PIIMethod: w.PIIMethod,
	})
	l = &made
	if passing(err) { // it may be there
		there, _, lookErr := p.stream(ctx, m, w, v)
		if lookErr != nil || there == nil {
			return errors.Join(err, lookErr)
		}
		l, err = there, nil
	}
	if err != nil {
		return err
	}
	keepStream(l, w, v)
	return nil
}

// changeStream gives the log stream what is wanted of what can be changed.
func (p *auth0Provider) changeStream(ctx context.Context, w *stack.Auth0Stream, v Values) error {
	m, err := p.o.Manager(ctx, w.Tenant)
	if err != nil {
		return err
	}
	l, _, err := p.stream(ctx, m, w, v)
	if err != nil {
		return err
	}
	if l == nil {
		return errStreamGone
	}
	l.Endpoint, l.Categories, l.PIIFields, l.PIIMethod = w.Endpoint, w.Categories, w.PIIFields, w.PIIMethod
	if w.Authorization != "" {
		l.Authorization = auth0.Hide(w.Authorization)
	}
	return m.UpdateLogStream(ctx, *l)
}

// errStreamGone says that somebody was faster.
var errStreamGone = errors.New("the log stream is gone since it was looked for: run it again")

// removeStream removes the log stream that was found.
func (p *auth0Provider) removeStream(ctx context.Context, h *stack.Auth0Stream) error {
	m, err := p.o.Manager(ctx, h.Tenant)
	if err != nil {
		return err
	}
	list, err := m.LogStreams(ctx)
	if err != nil {
		return err
	}
	l := sameStream(list, h, h.AWSAccount)
	if l == nil {
		return nil
	}
	return m.DeleteLogStream(ctx, l.ID)
}
