//go:build linux

package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mostExposure is the score of systemd-analyze, in tenths, that the unit may have at
// the most: 0 is locked away, 20 is "OK", 96 what a unit without any sandbox has.
const mostExposure = "15"

// aroundUnits are those that the unit speaks of.
var aroundUnits = []string{"sysinit", "basic", "shutdown", "network-online", "time-sync", "multi-user"}

// systemdRoot makes a root directory with the unit and all that it names.
func systemdRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc/systemd/system/gapless.service"), read(t, "deploy", "systemd", "gapless.service"))
	write(t, filepath.Join(dir, "etc/sysusers.d/gapless.conf"), read(t, "deploy", "systemd", "gapless.sysusers.conf"))
	for _, u := range aroundUnits {
		write(t, filepath.Join(dir, "usr/lib/systemd/system", u+".target"), "[Unit]\nDescription="+u+"\n")
	}
	for _, program := range []string{"usr/local/bin/gapless", "bin/kill"} {
		write(t, filepath.Join(dir, program), "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(dir, program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestUnitIsValid has systemd itself read the unit. It says nothing when all is well;
// of an unknown key it only warns.
func TestUnitIsValid(t *testing.T) {
	t.Parallel()
	need(t, "systemd-analyze", "install systemd 250 or later")
	dir := systemdRoot(t)
	stdout, stderr, err := command{}.run(t.Context(), t, "systemd-analyze", "verify", "--man=no", "--root="+dir, "gapless.service")
	if said := strings.TrimSpace(stdout + stderr); err != nil || said != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
}

// TestUnitIsHardened has systemd judge what the unit may do.
func TestUnitIsHardened(t *testing.T) {
	t.Parallel()
	need(t, "systemd-analyze", "install systemd 250 or later")
	unit := filepath.Join(root, "deploy", "systemd", "gapless.service")
	stdout, stderr, err := command{}.run(t.Context(), t, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+mostExposure, unit)
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s%s", err, stdout, stderr)
	}
}

// TestUnitHasItsAccount has systemd read the account that the unit runs as.
func TestUnitHasItsAccount(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-sysusers"); err != nil {
		t.Skip("NOT RUN: systemd-sysusers is not installed. To run this test: install systemd")
	}
	dir := systemdRoot(t)
	_, stderr, err := command{}.run(t.Context(), t, "systemd-sysusers", "--root="+dir, "--dry-run")
	if err != nil || !strings.Contains(stderr, "Creating user 'gapless'") {
		t.Errorf("systemd-sysusers: %v\n%s", err, stderr)
	}
	if got := unitValues(t)["User"]; got != "gapless" {
		t.Errorf("the unit runs as %q", got)
	}
}

// unitValues returns the assignments of the unit; the last of two counts.
func unitValues(t *testing.T) map[string]string {
	t.Helper()
	values := make(map[string]string)
	for line := range strings.Lines(read(t, "deploy", "systemd", "gapless.service")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

// TestUnitFitsGapless compares the unit with what gapless does: its exit codes, the
// time that a stop takes, the reload, and the command line.
func TestUnitFitsGapless(t *testing.T) {
	t.Parallel()
	values := unitValues(t)
	program, args, _ := strings.Cut(values["ExecStart"], " ")
	if program != "/usr/local/bin/gapless" {
		t.Errorf("ExecStart: %s", values["ExecStart"])
	}
	dir := t.TempDir()
	for _, c := range []struct {
		config string
		code   string
	}{{"nonsense: 1\n", "3"}, {"aws: {region: [}\n", "3"}} {
		file := filepath.Join(dir, "gapless.yaml")
		write(t, file, c.config)
		line := strings.Fields(strings.ReplaceAll(args, "/etc/gapless/gapless.yaml", file))
		_, stderr, err := command{}.run(t.Context(), t, gapless(t), line...)
		if err == nil || err.Error() != "exit status "+c.code || !strings.Contains(" "+values["RestartPreventExitStatus"]+" ", " "+c.code+" ") {
			t.Errorf("%s: %v, and a restart is prevented for %s\n%s", c.config, err, values["RestartPreventExitStatus"], stderr)
		}
	}
	// Before its first instruction SIGHUP ends the process, and that is a clean end to
	// systemd: on-failure alone would leave it at that.
	if values["ExecReload"] != "/bin/kill -HUP $MAINPID" || values["Restart"] == "on-failure" && values["RestartForceExitStatus"] != "SIGHUP" {
		t.Errorf("ExecReload %q, Restart %q, RestartForceExitStatus %q", values["ExecReload"], values["Restart"], values["RestartForceExitStatus"])
	}
	stop, err := time.ParseDuration(values["TimeoutStopSec"])
	if err != nil || stop <= 20*time.Second {
		t.Errorf("TimeoutStopSec is %q, %v; it must be above shutdown_timeout", values["TimeoutStopSec"], err)
	}
}
