package cli_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something of which it is only sure
// that it happens.
const patience = 30 * time.Second

// TestScripts runs the scripts in testdata/script: exact output and exit codes.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "XDG_STATE_HOME="+e.WorkDir+"/state", "AWS_EC2_METADATA_DISABLED=true",
				"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AUTH0_CLIENT_SECRET=demo-client-secret", quickExit,
				"LONG_AGO="+time.Now().UTC().AddDate(0, 0, -20).Format(time.RFC3339)) // more than CloudWatch Logs takes, less than Auth0 keeps
			names := []string{"GAPLESS_AWS_ENDPOINT", "GAPLESS_TENANT_DOMAIN", "GAPLESS_TENANTS_0_DOMAIN"} // set by scripts
			for _, v := range e.Vars {
				name, _, _ := strings.Cut(v, "=")
				names = append(names, name)
			}
			e.Values[processesKey{}], e.Values[variablesKey{}] = map[string]*process{}, names
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "start": start, "interrupt": interrupt, "await": await, "eventually": eventually, "occupy": occupy,
			"post": postBody, "hangup": hangup, "account": account,
		},
	})
}

// exits runs a command and compares its exit code: exits CODE COMMAND ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	if got := exitCode(ts, ts.Exec(args[1], args[2:]...)); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// exitCode returns the code with which a command ended.
func exitCode(ts *testscript.TestScript, err error) string {
	if err == nil {
		return "0"
	}
	code, ok := strings.CutPrefix(err.Error(), "exit status ")
	if !ok {
		ts.Fatalf("run command: %v", err)
	}
	return code
}

// Keys of what a script remembers.
type (
	processesKey struct{} // map[string]*process
	variablesKey struct{} // []string, the names of the environment
)

// A process runs beside a script.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts gapless in the background: start NAME ARGS... What it writes is in
// the files NAME.out and NAME.err. With --json it waits for the line of addresses
// and puts them into variables such as NAME_tenant.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARGS...")
	}
	name := args[0]
	p := &process{cmd: exec.Command("gapless", args[1:]...), done: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	for _, v := range remembered[[]string](ts, variablesKey{}) {
		if value := ts.Getenv(v); value != "" {
			p.cmd.Env = append(p.cmd.Env, v+"="+value)
		}
	}
	for suffix, to := range map[string]*io.Writer{".out": &p.cmd.Stdout, ".err": &p.cmd.Stderr} {
		f, err := os.Create(ts.MkAbs(name + suffix))
		ts.Check(err)
		defer func() { _ = f.Close() }() // the process has its own
		*to = f
	}
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the code is in ProcessState
	}()
	ts.Defer(func() { _ = p.cmd.Process.Kill(); <-p.done })
	remembered[map[string]*process](ts, processesKey{})[name] = p
	if slices.Contains(args, "--json") {
		setAddresses(ts, name)
	}
}

// remembered returns what a script remembers under a key.
func remembered[T any](ts *testscript.TestScript, key any) T {
	v, ok := ts.Value(key).(T)
	if !ok {
		ts.Fatalf("the setup of the script lacks %T", key)
	}
	return v
}

// setAddresses waits for the line of addresses of a process.
func setAddresses(ts *testscript.TestScript, name string) {
	var addresses map[string]string
	wait(ts, func() bool {
		return json.Unmarshal([]byte(ts.ReadFile(name+".out")), &addresses) == nil
	}, func() string { return name + " printed no addresses:\n" + ts.ReadFile(name+".err") })
	for key, value := range addresses {
		ts.Setenv(name+"_"+key, value)
		if _, port, err := net.SplitHostPort(strings.TrimPrefix(value, "http://")); err == nil {
			ts.Setenv(name+"_"+key+"_port", port)
		}
	}
}

// wait waits until a condition holds.
func wait(ts *testscript.TestScript, holds func() bool, complaint func() string) {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late.C:
			ts.Fatalf("%s", complaint())
		}
	}
}

// interrupt does to a process what Ctrl-C does, and compares its exit code:
// interrupt NAME CODE.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: interrupt NAME CODE")
	}
	p := remembered[map[string]*process](ts, processesKey{})[args[0]]
	ts.Check(p.cmd.Process.Signal(os.Interrupt))
	ended(ts, args[0], p, args[1])
}

// hangup asks a process to read its configuration again: hangup NAME.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hangup NAME")
	}
	ts.Check(remembered[map[string]*process](ts, processesKey{})[args[0]].cmd.Process.Signal(syscall.SIGHUP))
}

// await waits for the end of a process and compares its exit code:
// await NAME CODE.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await NAME CODE")
	}
	ended(ts, args[0], remembered[map[string]*process](ts, processesKey{})[args[0]], args[1])
}

// ended waits for the end of a process.
func ended(ts *testscript.TestScript, name string, p *process, code string) {
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not end", name)
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != code {
		ts.Fatalf("%s ended with code %s, want %s:\n%s", name, got, code, ts.ReadFile(name+".err"))
	}
}

// eventually runs a command until its standard output matches:
// eventually REGEXP COMMAND ARGS...
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND ARGS...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	wait(ts, func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout"))
	}, func() string { return fmt.Sprintf("no match for %q", args[0]) })
}

// postBody posts a body, in which \xNN stands for a byte: post URL BODY.
func postBody(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: post URL BODY")
	}
	body := regexp.MustCompile(`\\x[0-9a-f]{2}`).ReplaceAllStringFunc(args[1], func(s string) string {
		b, err := hex.DecodeString(s[2:])
		ts.Check(err)
		return string(b)
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, args[0], strings.NewReader(body))
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode >= 300 {
		ts.Fatalf("POST %s: status %d", args[0], resp.StatusCode)
	}
}

// occupy listens on a port of 127.0.0.1 until the script ends, and puts it into a
// variable: occupy VARIABLE [PORT]. A port that is taken already is as good.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: occupy VARIABLE [PORT]")
	}
	port := "0"
	if len(args) == 2 {
		port = args[1]
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+port)
	if err == nil {
		ts.Defer(func() { _ = l.Close() })
		_, port, err = net.SplitHostPort(l.Addr().String())
		ts.Check(err)
	} else if port == "0" {
		ts.Check(err)
	}
	ts.Setenv(args[0], port)
}
