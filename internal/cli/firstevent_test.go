package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// What docs/first-event.md calls things.
const (
	firstEventGroup  = "/auth0/dev-tenant"
	firstEventStream = "logs"
	firstEventDomain = "https://dev-tenant.us.auth0.com"
	firstEventFilter = `{ $.type = "sapi" && $.description = "Create a User" }`
)

// adminKey is the access key of the person who sets everything up.
var adminKey = cloudwatch.AccessKey{ID: "AKIAADMIN", Secret: "admin-secret", User: "admin"}

// TestFirstEvent walks docs/first-event.md, with the page's own commands and files:
// a group and a stream made by an administrator, a user who may do no more than
// write to them, gapless with that user's access key, and the event of a new user
// in the stream.
func TestFirstEvent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), walkTimeout)
	defer cancel()
	page := readPage(t, "first-event.md")
	dir := t.TempDir()
	page.save(t, dir, "policy.json", "json", `"Version"`)
	page.save(t, dir, "gapless.yaml", "yaml", "tenants:")
	key := makeUser(ctx, t, dir, page.block(t, "sh", "aws iam create-user"))
	e := newEmulated(t, tenant.Options{ClientID: "YOUR_CLIENT_ID", ClientSecret: "s3cret"}, adminKey, key)
	admin := newAdministrator(t, e)
	admin.create(ctx, t, page)

	e.runs(ctx, t, dir, key, page.block(t, "sh", "gapless config check"))
	run := strings.TrimSpace(page.lines(t, "sh", "gapless run"))
	stop := e.startGapless(ctx, t, dir, key, strings.Fields(run)[1:])
	defer stop()
	created := e.createUser(ctx, t, page)
	message, at := admin.find(ctx, t, page)
	checkEvent(t, e, message, at, created)
	stop()

	// gapless made do with the two permissions of the policy.
	stats := e.cw.Stats()
	if stats.Calls["PutLogEvents"] == 0 || stats.Calls["DescribeLogStreams"] == 0 {
		t.Errorf("the two permissions were not both used: %v", stats.Calls)
	}
	delete(stats.Calls, "PutLogEvents")
	delete(stats.Calls, "DescribeLogStreams")
	delete(stats.Calls, "FilterLogEvents") // the administrator's, as often as it took
	// What gapless asks for at the start, and does without.
	refused := stats.Calls["DescribeLogGroups"] + stats.Calls["GetLogEvents"]
	delete(stats.Calls, "DescribeLogGroups")
	delete(stats.Calls, "GetLogEvents")
	if d := cmp.Diff(map[string]int64{"CreateLogGroup": 1, "CreateLogStream": 1}, stats.Calls); d != "" {
		t.Errorf("calls beside those that the policy allows and the administrator's (-want +got):\n%s", d)
	}
	if stats.Errors["AccessDeniedException"] -= refused; stats.Errors["AccessDeniedException"] != 0 || len(stats.Errors) > 1 {
		t.Errorf("more calls were refused than the %d that gapless does without: %v", refused, stats.Errors)
	}
}

// checkEvent holds that a message is the event of a user's creation, byte for byte.
func checkEvent(t *testing.T, e *emulated, message string, at time.Time, created string) {
	t.Helper()
	var event struct {
		Date    time.Time `json:"date"`
		Details struct {
			Response struct {
				Body struct {
					UserID string `json:"user_id"`
				} `json:"body"`
			} `json:"response"`
		} `json:"details"`
	}
	if err := json.Unmarshal([]byte(message), &event); err != nil {
		t.Fatal(err)
	}
	if got := event.Details.Response.Body.UserID; got != created {
		t.Errorf("the event is of user %q, want %q", got, created)
	}
	if !at.Equal(event.Date) {
		t.Errorf("the timestamp is %v, want the date of the event %v", at, event.Date)
	}
	held := false
	for _, raw := range e.auth0.Events() {
		held = held || string(raw) == message
	}
	if !held {
		t.Error("the message is not byte for byte what the tenant holds")
	}
}

// TestFirstEventTrouble holds that the usual mistakes are told in the words that
// the page's last table gives, with the hint that helps.
func TestFirstEventTrouble(t *testing.T) {
	t.Parallel()
	page := readPage(t, "first-event.md")
	policy := page.block(t, "json", `"Version"`)
	for name, c := range map[string]struct {
		scopes []string
		secret string
		policy string
		args   []string
		group  bool
		want   []string
	}{
		"scope":                     {scopes: []string{"read:users"}, group: true, want: []string{"403", "Insufficient scope", "read:logs"}},
		"secret":                    {secret: "wrong", group: true, want: []string{"401", "client_id"}},
		"other group":               {policy: strings.ReplaceAll(policy, "/auth0/dev-tenant", "/auth0/other"), group: true, want: []string{"AccessDeniedException", "logs:PutLogEvents"}},
		"no colon and star":         {policy: strings.ReplaceAll(policy, "dev-tenant:*", "dev-tenant"), group: true, want: []string{"AccessDeniedException"}},
		"no permission to write":    {policy: strings.ReplaceAll(policy, `"logs:PutLogEvents", `, ""), group: true, want: []string{"AccessDeniedException", "logs:PutLogEvents"}},
		"no group":                  {want: []string{"AccessDeniedException", "logs:CreateLogStream"}},
		"no group, none to be made": {args: []string{"--set", "tenants.0.cloudwatch.create=false"}, want: []string{"ResourceNotFoundException", firstEventGroup}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), walkTimeout)
			defer cancel()
			dir := t.TempDir()
			page.save(t, dir, "gapless.yaml", "yaml", "tenants:")
			key := cloudwatch.AccessKey{ID: "AKIAGAPLESS", Secret: "gapless-secret", User: "gapless", Policy: c.policy}
			if c.policy == "" {
				key.Policy = policy
			}
			e := newEmulated(t, tenant.Options{ClientID: "YOUR_CLIENT_ID", ClientSecret: "s3cret", Scopes: c.scopes}, adminKey, key)
			if c.group {
				sdkTool{e}.create(ctx, t, page)
			}
			cmd := e.gapless(ctx, dir, key, append([]string{"run", "--config", "gapless.yaml", "--once"}, c.args...)...)
			if c.secret != "" {
				cmd.Env = append(cmd.Env, "AUTH0_CLIENT_SECRET="+c.secret)
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run() // the code tells
			if code := cmd.ProcessState.ExitCode(); code != 4 {
				t.Errorf("ended with %d, want 4", code)
			}
			said := stderr.String()
			if i := strings.Index(said, "\nError: "); i >= 0 {
				said = said[i:]
			}
			for _, want := range append(c.want, "\nTry: ") {
				if !strings.Contains(said, want) {
					t.Errorf("lacks %q:\n%s", want, said)
				}
			}
		})
	}
}

// TestFirstEventSignature holds that the emulator of TestFirstEvent lets nobody in
// but by the keys, and the user do no more than the policy allows.
func TestFirstEventSignature(t *testing.T) {
	t.Parallel()
	policy := readPage(t, "first-event.md").block(t, "json", `"Version"`)
	key := cloudwatch.AccessKey{ID: "AKIAGAPLESS", Secret: "gapless-secret", User: "gapless", Policy: policy}
	e := newEmulated(t, tenant.Options{}, adminKey, key)
	for want, as := range map[string]cloudwatch.AccessKey{
		"AccessDeniedException":       key,
		"InvalidSignatureException":   {ID: adminKey.ID, Secret: "wrong"},
		"UnrecognizedClientException": {ID: "AKIANOBODY", Secret: "x"},
	} {
		err := sdkTool{e}.createGroup(t.Context(), as)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("create a group as %s: got %v, want %s", as.ID, err, want)
		}
	}
}

// emulated is the tenant and CloudWatch Logs of a walk.
type emulated struct {
	cw               *cloudwatch.Server
	auth0            *tenant.Server
	cwURL, tenantURL string
	faults           *emulator.Faults // of CloudWatch Logs
}

// newEmulated starts both over loopback until the test ends.
func newEmulated(t *testing.T, o tenant.Options, keys ...cloudwatch.AccessKey) *emulated {
	t.Helper()
	faults := emulator.NewFaults()
	cw, err := cloudwatch.New(cloudwatch.Options{AccessKeys: keys, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cw.Close() })
	auth0, err := tenant.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = auth0.Close() })
	cwServer, auth0Server := httptest.NewServer(cw), httptest.NewServer(auth0)
	t.Cleanup(cwServer.Close)
	t.Cleanup(auth0Server.Close)
	return &emulated{cw: cw, auth0: auth0, cwURL: cwServer.URL, tenantURL: auth0Server.URL, faults: faults}
}

// environ is the environment of a command of a walk: that of the shell in which
// the page is followed, and where the emulators are.
func (e *emulated) environ(key cloudwatch.AccessKey) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL=" + e.cwURL,
		"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AUTH0_CLIENT_SECRET=s3cret",
		"GAPLESS_AWS_ENDPOINT=" + e.cwURL, "GAPLESS_TENANT_DOMAIN=" + e.tenantURL, "GAPLESS_LISTEN=127.0.0.1:0", quickExit,
	}
}

// gapless returns a command of gapless itself, in a process of its own.
func (e *emulated) gapless(ctx context.Context, dir string, key cloudwatch.AccessKey, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "gapless", args...)
	cmd.Dir, cmd.Env = dir, e.environ(key)
	return cmd
}

// runs runs a line of the page that calls gapless.
func (e *emulated) runs(ctx context.Context, t *testing.T, dir string, key cloudwatch.AccessKey, line string) {
	t.Helper()
	if out, err := e.gapless(ctx, dir, key, strings.Fields(line)[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// startGapless starts gapless and returns what stops it, once.
func (e *emulated) startGapless(ctx context.Context, t *testing.T, dir string, key cloudwatch.AccessKey, args []string) (stop func()) {
	t.Helper()
	cmd := e.gapless(ctx, dir, key, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	return func() {
		if stopped {
			return
		}
		stopped = true
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil || t.Failed() {
			t.Errorf("gapless ended: %v\n%s", err, stderr.String())
		}
	}
}

// createUser creates a user with the page's command, or without where there is no
// curl; it returns the user's id.
func (e *emulated) createUser(ctx context.Context, t *testing.T, page page) string {
	t.Helper()
	block := page.block(t, "sh", "/api/v2/users")
	data := regexp.MustCompile(`-d '(.*)'`).FindStringSubmatch(block)
	if !strings.Contains(block, firstEventDomain+"/api/v2/users ") || data == nil {
		t.Fatalf("the page creates no user:\n%s", block)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"YOUR_CLIENT_ID"}, "client_secret": {"s3cret"}, "audience": {e.tenantURL + "/api/v2/"}}
	token := post(ctx, t, e.tenantURL+"/oauth/token", "application/x-www-form-urlencoded", "", form.Encode())["access_token"]
	if _, err := exec.LookPath("curl"); err != nil {
		t.Log("NOT RUN with curl, which is missing: install curl")
		return post(ctx, t, e.tenantURL+"/api/v2/users", "application/json", token, data[1])["user_id"]
	}
	out := shell(ctx, t, "", append(e.environ(adminKey), "TOKEN="+token), strings.ReplaceAll(block, firstEventDomain, e.tenantURL))
	var user struct {
		UserID string `json:"user_id"`
	}
	if err := json.Unmarshal([]byte(out), &user); err != nil {
		t.Fatalf("create user: %v\n%s", err, out)
	}
	return user.UserID
}

// post sends a request and returns the texts of the answer.
func post(ctx context.Context, t *testing.T, to, contentType, token, body string) map[string]string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var members map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&members); err != nil || resp.StatusCode >= 300 {
		t.Fatalf("POST %s: status %d, %v", to, resp.StatusCode, err)
	}
	out := make(map[string]string)
	for k, v := range members {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// shell runs a script and returns its standard output.
func shell(ctx context.Context, t *testing.T, dir string, environ []string, script string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Dir, cmd.Env = dir, environ
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, stderr.String())
	}
	return string(out)
}

// A page is the text of a page of docs/.
type page string

// readPage reads a page of docs/.
func readPage(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return page(text)
}

// block returns the one code block of a language that has a text in it.
func (p page) block(t *testing.T, language, part string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(p), -1) {
		if m[1] == language && strings.Contains(m[2], part) {
			found = append(found, m[2])
		}
	}
	if len(found) != 1 {
		t.Fatalf("the page has %d blocks of %s with %q, want 1", len(found), language, part)
	}
	return found[0]
}

// lines returns those lines of the one block that begin with a text.
func (p page) lines(t *testing.T, language, start string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(p.block(t, language, start)) {
		if strings.HasPrefix(line, start) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// save writes a block to a file.
func (p page) save(t *testing.T, dir, name, language, part string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(p.block(t, language, part)), 0o600); err != nil {
		t.Fatal(err)
	}
}
