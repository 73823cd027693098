//go:build linux

package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A step is an instruction of a Dockerfile.
type step struct{ op, args string }

// dockerfile returns the steps of both stages of the Dockerfile: the build, and what
// becomes the image.
func dockerfile() (build, final []step, err error) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "docker", "Dockerfile"))
	if err != nil {
		return nil, nil, err
	}
	var stages [][]step
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		op, args, _ := strings.Cut(line, " ")
		if op == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) > 0 {
			stages[len(stages)-1] = append(stages[len(stages)-1], step{op, strings.TrimSpace(args)})
		}
	}
	if len(stages) != 2 {
		return nil, nil, fmt.Errorf("the Dockerfile has %d stages, want 2", len(stages))
	}
	return stages[0], stages[1], nil
}

// buildGapless runs the build's own command line, in the repository in the place of
// /src, and with path in the place of /out/gapless. Without -trimpath, which changes
// nothing but names of files: so the compiler's cache of the other tests helps.
func buildGapless(path string) (string, error) {
	build, _, err := dockerfile()
	if err != nil {
		return "", err
	}
	for _, s := range build {
		if s.op != "RUN" || !strings.Contains(s.args, "go build") {
			continue
		}
		line := strings.ReplaceAll(strings.Replace(s.args, " -trimpath ", " ", 1), "/out/gapless", path)
		if line == s.args {
			return "", errors.New("the build has no -trimpath")
		}
		cmd := exec.Command("sh", "-ec", line)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH=", "VERSION=v0.0.0-test")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", line, err, out)
		}
		return path, nil
	}
	return "", errors.New("the Dockerfile runs no go build")
}

// An image is what the second stage of the Dockerfile makes.
type image struct {
	dir                          string            // of its files
	modes                        map[string]string // owner by path, of what has another than root
	env                          []string
	workdir, user                string
	entrypoint, command, healthy []string
}

// newImage does what the second stage says, with the machine in the place of the build.
func newImage(t *testing.T) *image {
	t.Helper()
	_, final, err := dockerfile()
	if err != nil {
		t.Fatal(err)
	}
	m := &image{dir: t.TempDir(), modes: make(map[string]string)}
	for _, s := range final {
		switch s.op {
		case "FROM":
			if s.args != "scratch" {
				t.Errorf("the image is built on %s, want scratch", s.args)
			}
		case "COPY":
			m.copy(t, s.args)
		case "ENV":
			m.env = append(m.env, s.args)
		case "WORKDIR":
			m.workdir = s.args
			m.mkdir(t, s.args)
		case "USER":
			m.user = s.args
		case "ENTRYPOINT":
			m.entrypoint = words(t, s.args)
		case "CMD":
			m.command = words(t, s.args)
		case "HEALTHCHECK":
			_, after, _ := strings.Cut(s.args, "CMD ")
			m.healthy = words(t, after)
		default:
			t.Errorf("the test does not know what %s does", s.op)
		}
	}
	return m
}

// words decodes the exec form of a command, as an image without a shell needs it.
func words(t *testing.T, args string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(args), &list); err != nil {
		t.Fatalf("%s is not in exec form: %v", args, err)
	}
	return list
}

// mkdir makes a directory of the image.
func (m *image) mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(m.dir, path), 0o755); err != nil {
		t.Fatal(err)
	}
}

// copy does COPY --from=build [--chown=OWNER] FROM TO.
func (m *image) copy(t *testing.T, args string) {
	t.Helper()
	owner := ""
	var paths []string
	for a := range strings.FieldsSeq(args) {
		if value, ok := strings.CutPrefix(a, "--chown="); ok {
			owner = value
		} else if !strings.HasPrefix(a, "--") {
			paths = append(paths, a)
		}
	}
	if len(paths) != 2 || !strings.Contains(args, "--from=build") {
		t.Fatalf("COPY %s: the image takes files of the build alone", args)
	}
	from, to := paths[0], filepath.Join(m.dir, paths[1])
	switch from {
	case "/out/gapless":
		data, err := os.ReadFile(gapless(t))
		if err != nil {
			t.Fatal(err)
		}
		m.mkdir(t, filepath.Dir(paths[1]))
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	case "/out/var":
		m.mkdir(t, filepath.Join(paths[1], "gapless"))
		if err := os.Chmod(filepath.Join(to, "gapless"), 0o700); err != nil {
			t.Fatal(err)
		}
		m.modes[filepath.Join(paths[1], "gapless")] = owner
	default:
		data, err := os.ReadFile(from)
		if err != nil {
			t.Skipf("NOT RUN: the machine has no %s. To run this test: install the package ca-certificates", from)
		}
		write(t, to, string(data))
	}
}
