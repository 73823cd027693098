package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// bridge is EventBridge as far as its documents tell: partner event sources, which are
// pending until a bus of their name is there, rules and their targets. It stands in
// for moto's, which cannot hang rules on the bus of a partner.
type bridge struct {
	mu      sync.Mutex
	account string
	region  string
	hidden  int // how many calls do not see a new source yet
	buses   map[string]*bus
	deny    string // an operation that is refused
	dropped int    // events that came while there was no bus

	// send delivers an event to a queue by its ARN, for a rule by its ARN.
	send func(ctx context.Context, queueARN, ruleARN string, event []byte) error
}

type bus struct {
	tags  map[string]string
	rules map[string]*rule
}

type rule struct {
	pattern, state string
	tags           map[string]string
	targets        map[string]json.RawMessage
}

func newBridge() *bridge {
	return &bridge{account: "123456789012", region: "eu-central-1", buses: map[string]*bus{}}
}

// PutEvents implements tenant.EventBus: the partner sends.
func (b *bridge) PutEvents(ctx context.Context, events [][]byte) error {
	for _, e := range events {
		if err := b.route(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// route hands an event to the targets of the rules that match it.
func (b *bridge) route(ctx context.Context, event []byte) error {
	source := gjson.GetBytes(event, "source").String()
	type delivery struct{ queue, rule string }
	var out []delivery
	b.mu.Lock()
	on := b.buses[source]
	if on == nil {
		b.dropped++
		b.mu.Unlock()
		return nil
	}
	for name, r := range on.rules {
		prefix := gjson.Get(r.pattern, "source.0.prefix").String()
		if r.state != "ENABLED" || prefix == "" || !strings.HasPrefix(source, prefix) {
			continue
		}
		for _, t := range r.targets {
			out = append(out, delivery{gjson.GetBytes(t, "Arn").String(), b.ruleARN(source, name)})
		}
	}
	b.mu.Unlock()
	for _, d := range out {
		if err := b.send(ctx, d.queue, d.rule, event); err != nil {
			return err
		}
	}
	return nil
}

func (b *bridge) busARN(name string) string {
	return "arn:aws:events:" + b.region + ":" + b.account + ":event-bus/" + name
}

func (b *bridge) ruleARN(bus, name string) string {
	return "arn:aws:events:" + b.region + ":" + b.account + ":rule/" + bus + "/" + name
}

// The errors of the API.
var (
	errMissing = errors.New("ResourceNotFoundException")
	errExists  = errors.New("ResourceAlreadyExistsException")
	errDenied  = errors.New("AccessDeniedException")
	errInvalid = errors.New("ValidationException")
)

// busRequest has the members of all requests.
type busRequest struct {
	Name, EventSourceName, EventBusName, Rule, EventPattern, State, ResourceARN string
	Tags                                                                        []struct{ Key, Value string }
	Targets                                                                     []json.RawMessage
	Ids                                                                         []string
}

// ServeHTTP implements http.Handler.
func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents.")
	var req busRequest
	err := json.NewDecoder(r.Body).Decode(&req)
	var answer any = struct{}{}
	switch {
	case err != nil:
	case op == b.deny:
		err = errDenied
	default:
		answer, err = b.operate(op, req)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]string{"__type": err.Error(), "message": op + ": " + err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (b *bridge) operate(op string, req busRequest) (any, error) {
	tags := map[string]string{}
	for _, t := range req.Tags {
		tags[t.Key] = t.Value
	}
	none := struct{}{}
	switch op {
	case "CreateEventBus":
		return b.createBus(req, tags)
	case "DescribeEventBus":
		if b.buses[req.Name] == nil {
			return nil, errMissing
		}
		return map[string]string{"Name": req.Name, "Arn": b.busARN(req.Name)}, nil
	case "DeleteEventBus":
		if on := b.buses[req.Name]; on != nil && len(on.rules) > 0 {
			return nil, errInvalid
		}
		delete(b.buses, req.Name)
		return none, nil
	case "ListTagsForResource", "TagResource":
		held := b.tagged(req.ResourceARN)
		if held == nil {
			return nil, errMissing
		}
		maps.Copy(held, tags)
		list := []map[string]string{}
		for _, k := range slices.Sorted(maps.Keys(held)) {
			list = append(list, map[string]string{"Key": k, "Value": held[k]})
		}
		return map[string]any{"Tags": list}, nil
	}
	on := b.buses[req.EventBusName]
	if on == nil {
		return nil, errMissing
	}
	return b.operateRule(op, on, req, tags)
}

func (b *bridge) createBus(req busRequest, tags map[string]string) (any, error) {
	if b.hidden > 0 || req.Name != req.EventSourceName || !strings.HasPrefix(req.Name, "aws.partner/auth0.com/") {
		b.hidden--
		return nil, errMissing
	}
	if b.buses[req.Name] != nil {
		return nil, errExists
	}
	b.buses[req.Name] = &bus{tags: tags, rules: map[string]*rule{}}
	return map[string]string{"EventBusArn": b.busARN(req.Name)}, nil
}

// tagged returns the tags of a bus or a rule, nil when there is none.
func (b *bridge) tagged(arn string) map[string]string {
	for name, on := range b.buses {
		if arn == b.busARN(name) {
			return on.tags
		}
		for r, held := range on.rules {
			if arn == b.ruleARN(name, r) {
				return held.tags
			}
		}
	}
	return nil
}

func (b *bridge) operateRule(op string, on *bus, req busRequest, tags map[string]string) (any, error) {
	name := req.Rule
	if name == "" {
		name = req.Name
	}
	held := on.rules[name]
	if held == nil && op != "PutRule" && op != "ListRules" {
		return nil, errMissing
	}
	arn := b.ruleARN(req.EventBusName, name)
	none := map[string]any{"FailedEntryCount": 0, "FailedEntries": []any{}}
	switch op {
	case "PutRule":
		if held == nil {
			held = &rule{tags: tags, targets: map[string]json.RawMessage{}}
			on.rules[name] = held
		}
		held.pattern, held.state = req.EventPattern, req.State
		return map[string]string{"RuleArn": arn}, nil
	case "DescribeRule":
		return map[string]string{"Name": name, "Arn": arn, "EventPattern": held.pattern, "State": held.state, "EventBusName": req.EventBusName}, nil
	case "ListRules":
		list := []map[string]string{}
		for _, n := range slices.Sorted(maps.Keys(on.rules)) {
			list = append(list, map[string]string{"Name": n, "Arn": b.ruleARN(req.EventBusName, n)})
		}
		return map[string]any{"Rules": list}, nil
	case "PutTargets":
		for _, t := range req.Targets {
			held.targets[gjson.GetBytes(t, "Id").String()] = t
		}
		return none, nil
	case "ListTargetsByRule":
		return map[string]any{"Targets": slices.Collect(maps.Values(held.targets))}, nil
	case "RemoveTargets":
		for _, id := range req.Ids {
			delete(held.targets, id)
		}
		return none, nil
	case "DeleteRule":
		if len(held.targets) > 0 {
			return nil, errInvalid
		}
		delete(on.rules, name)
		return none, nil
	default:
		return nil, fmt.Errorf("UnknownOperationException: %s", op)
	}
}
