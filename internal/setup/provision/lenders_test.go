package provision_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A fakeIAM has instance profiles, and does not know roles at first.
type fakeIAM struct {
	unknown, added int
	made           bool
}

// ServeHTTP implements http.Handler.
func (f *fakeIAM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	missing := func() {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>It cannot be found.</Message></Error></ErrorResponse>`)
	}
	role := ""
	switch action := r.FormValue("Action"); action {
	case "GetInstanceProfile":
		if !f.made {
			missing()
			return
		}
		if f.added > f.unknown {
			role = "<member><RoleName>gapless</RoleName><Path>/</Path><RoleId>A</RoleId><Arn>a</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
		}
	case "CreateInstanceProfile":
		f.made = true
	case "AddRoleToInstanceProfile":
		if f.added++; f.added <= f.unknown {
			missing()
			return
		}
	}
	a := r.FormValue("Action")
	_, _ = fmt.Fprintf(w, `<%sResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><%sResult><InstanceProfile><InstanceProfileName>gapless</InstanceProfileName><Path>/</Path><InstanceProfileId>A</InstanceProfileId><Arn>a</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><Roles>%s</Roles><Tags><member><Key>gapless:setup</Key><Value>gapless</Value></member></Tags></InstanceProfile></%sResult></%sResponse>`, a, a, role, a, a)
}

// A fakeREST keeps pod identities of EKS, and trust anchors and profiles of IAM Roles
// Anywhere: the shapes are those of the service models of the SDK.
type fakeREST struct {
	t      *testing.T
	mu     sync.Mutex
	things map[string]map[string]any // by kind/id
	n      int
}

// body reads a request.
func (f *fakeREST) body(r *http.Request) map[string]any {
	out := map[string]any{}
	if r.ContentLength != 0 {
		if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
			f.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	return out
}

// put makes something of a request.
func (f *fakeREST) put(kind string, in map[string]any) map[string]any {
	f.n++
	id := fmt.Sprintf("%s-%d", kind, f.n)
	arn := "arn:aws:x:" + region + ":123456789012:" + kind + "/" + id
	for _, key := range map[string][]string{"pod": {"associationId", "associationArn"}, "trustanchor": {"trustAnchorId", "trustAnchorArn"}, "profile": {"profileId", "profileArn"}}[kind] {
		in[key] = id
		if strings.HasSuffix(key, "Arn") {
			in[key] = arn
		}
	}
	f.things[kind+"/"+id] = in
	return in
}

// list returns what there is of a kind.
func (f *fakeREST) list(kind string) []map[string]any {
	out := []map[string]any{}
	for key, v := range f.things {
		if strings.HasPrefix(key, kind+"/") {
			out = append(out, v)
		}
	}
	return out
}

// ServeHTTP implements http.Handler.
func (f *fakeREST) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/")
	kind, id, one := strings.Cut(path, "/")
	member := map[string]string{"trustanchors": "trustAnchor", "trustanchor": "trustAnchor", "profiles": "profile", "profile": "profile"}[kind]
	var out any = map[string]any{}
	switch {
	case strings.HasPrefix(path, "clusters/prod/pod-identity-associations"):
		out = f.pods(r, strings.TrimPrefix(strings.TrimPrefix(path, "clusters/prod/pod-identity-associations"), "/"))
	case path == "ListTagsForResource":
		for _, v := range f.things {
			if v["trustAnchorArn"] == r.URL.Query().Get("resourceArn") || v["profileArn"] == r.URL.Query().Get("resourceArn") {
				out = map[string]any{"tags": v["tags"]}
			}
		}
	case path == "TagResource":
		out = map[string]any{}
	case !one && r.Method == http.MethodGet:
		out = map[string]any{kind: f.list(strings.TrimSuffix(kind, "s"))}
		if kind == "trustanchors" {
			out = map[string]any{"trustAnchors": f.list("trustanchor")}
		}
	case !one:
		out = map[string]any{member: f.put(strings.TrimSuffix(kind, "s"), f.body(r))}
	case r.Method == http.MethodDelete:
		delete(f.things, path)
	default:
		maps.Copy(f.things[kind+"/"+id], f.body(r))
		out = map[string]any{member: f.things[kind+"/"+id]}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		f.t.Error(err)
	}
}

// pods answers EKS.
func (f *fakeREST) pods(r *http.Request, id string) any {
	switch {
	case id == "" && r.Method == http.MethodGet:
		if q := r.URL.Query(); q.Get("namespace") != "gapless" || q.Get("serviceAccount") != "gapless" {
			f.t.Errorf("asked for %s", r.URL)
		}
		return map[string]any{"associations": f.list("pod")}
	case id == "":
		return map[string]any{"association": f.put("pod", f.body(r))}
	case r.Method == http.MethodDelete:
		defer delete(f.things, "pod/"+id)
	case r.Method == http.MethodPost:
		maps.Copy(f.things["pod/"+id], f.body(r))
	}
	return map[string]any{"association": f.things["pod/"+id]}
}

func TestPodIdentities(t *testing.T) {
	t.Parallel()
	f := &fakeREST{t: t, things: map[string]map[string]any{}}
	e := engine(provision.Options{}, provision.NewAccess(reach(t, f, "KEY"), provision.AccessOptions{Owner: "gapless", Wait: noWait}))
	pod := func(role string) stack.Stack {
		return stack.Stack{Resources: []stack.Resource{&stack.PodIdentity{Region: region, Cluster: "prod", Namespace: "gapless", ServiceAccount: "gapless", Role: role, Tags: mark()}}}
	}
	apply(t, e, pod(stack.RoleARN("gapless")), "create pod identity")
	apply(t, e, pod(stack.RoleARN("other")), "change pod identity")
	remove(t, e, pod(stack.RoleARN("other")), "remove pod identity")
	f.put("pod", map[string]any{"roleArn": "arn:aws:iam::123456789012:role/theirs", "tags": map[string]any{}})
	apply(t, e, pod(stack.RoleARN("gapless")), "leave pod identity")
	remove(t, e, pod(stack.RoleARN("gapless")), "leave pod identity")
}

func TestRolesAnywhere(t *testing.T) {
	t.Parallel()
	f := &fakeREST{t: t, things: map[string]map[string]any{}}
	e := engine(provision.Options{}, provision.NewAccess(reach(t, f, "KEY"), provision.AccessOptions{Owner: "gapless", Wait: noWait}))
	// Somebody else's trust anchor of the same name is never trusted.
	f.put("trustanchor", map[string]any{"name": "gapless", "tags": []any{}, "source": map[string]any{"sourceType": "CERTIFICATE_BUNDLE", "sourceData": map[string]any{"x509CertificateData": "theirs"}}})
	s := func(certificate string, seconds int) stack.Stack {
		return stack.Stack{Resources: []stack.Resource{
			&stack.TrustAnchor{Region: region, Name: "gapless", Certificate: certificate, Tags: mark()},
			&stack.AnywhereProfile{Region: region, Name: "gapless", Roles: []string{stack.RoleARN("gapless")}, SessionSeconds: seconds, Tags: mark()},
		}}
	}
	apply(t, e, s("ours\n", 3600), "create trust anchor", "create Roles Anywhere profile")
	apply(t, e, s("new\n", 900), "change trust anchor", "change Roles Anywhere profile")
	lines := strings.Join(e.NextSteps(s("new\n", 900)), "\n")
	if !strings.Contains(lines, "--trust-anchor-arn arn:aws:x:eu-central-1:123456789012:trustanchor/trustanchor-2 --profile-arn arn:aws:x:eu-central-1:123456789012:profile/profile-3 --role-arn arn:aws:iam::123456789012:role/gapless") {
		t.Errorf("next steps:\n%s", lines)
	}
	remove(t, e, s("new\n", 900), "remove Roles Anywhere profile", "remove trust anchor")
	if left := f.list("trustanchor"); len(left) != 1 || left[0]["tags"] == nil {
		t.Errorf("left are %v", left)
	}
}
