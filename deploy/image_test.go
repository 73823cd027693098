//go:build linux

package deploy_test

import (
	"bytes"
	"context"
	"debug/elf"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long the tests wait for a process that does its work.
const patience = 90 * time.Second

// TestImageIsStatic builds the binary with the Dockerfile's own command line.
func TestImageIsStatic(t *testing.T) {
	t.Parallel()
	f, err := elf.Open(gapless(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it has only read
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary asks for a loader, which an image from scratch lacks")
		}
	}
	if libs, err := f.ImportedLibraries(); err == nil && len(libs) > 0 {
		t.Errorf("the binary asks for %v", libs)
	}
	out := command{}.must(t.Context(), t, gapless(t), "version")
	if !strings.HasPrefix(out, "gapless v0.0.0-test (") {
		t.Errorf("gapless version: %q; the Dockerfile's VERSION is not in it", out)
	}
}

// TestImageIsBuiltFromWhatIsCopied compares what the build copies, and what
// .dockerignore lets through, with what the compiler reads.
func TestImageIsBuiltFromWhatIsCopied(t *testing.T) {
	t.Parallel()
	build, _, err := dockerfile()
	if err != nil {
		t.Fatal(err)
	}
	var copied []string
	for _, s := range build {
		if s.op == "COPY" {
			from := strings.Fields(s.args)
			copied = append(copied, from[:len(from)-1]...)
		}
	}
	_, after, ok := strings.Cut(read(t, "deploy", "docker", "Dockerfile.dockerignore"), "\n*\n")
	if !ok {
		t.Error(".dockerignore does not begin with all that there is")
	}
	ignore := strings.Fields(after)
	for _, name := range copied {
		if !slices.Contains(ignore, "!"+name) {
			t.Errorf("the build copies %s, which .dockerignore keeps from it", name)
		}
	}
	c := command{dir: root, env: []string{"CGO_ENABLED=0", "GOOS=linux"}}
	out := c.must(t.Context(), t, "go", "list", "-deps", "-f",
		`{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`, "./cmd/gapless")
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(out)
	if len(files) < 100 {
		t.Fatalf("the compiler reads %d files only", len(files))
	}
	for _, file := range files {
		rel, err := filepath.Rel(base, file)
		if err != nil {
			t.Fatal(err)
		}
		dir, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		if !slices.Contains(copied, dir) || strings.Contains(rel, "testdata") || strings.HasSuffix(rel, "_test.go") {
			t.Errorf("the compiler reads %s, which the build does not get", rel)
		}
	}
}

// TestImageHoldsNothingElse looks at what ends up in the image, and as whom it runs.
func TestImageHoldsNothingElse(t *testing.T) {
	t.Parallel()
	m := newImage(t)
	var files []string
	err := filepath.WalkDir(m.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(p, m.dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", "/gapless"}; !slices.Equal(files, want) {
		t.Errorf("the image holds %v, want %v", files, want)
	}
	if uid, _, _ := strings.Cut(m.user, ":"); uid == "" || uid == "0" || uid == "root" {
		t.Errorf("the image runs as %q", m.user)
	}
	if m.modes["/var/lib/gapless"] != m.user || !slices.Contains(m.env, "STATE_DIRECTORY=/var/lib/gapless") {
		t.Errorf("the data directory is not the user's own: %v, %v", m.modes, m.env)
	}
}

// A container is a process within the files of an image.
type container struct {
	image *image
	env   []string
}

// newContainer skips the test, loudly, unless it may change the root of a process.
func newContainer(t *testing.T, m *image, env ...string) *container {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root may run a process within the files of the image. To run this test: run the tests as root")
	}
	for p, owner := range m.modes {
		m.chown(t, p, owner)
	}
	return &container{image: m, env: slices.Concat(m.env, env)}
}

// ids returns the numbers of an owner, as UID:GID.
func ids(t *testing.T, owner string) (uid, gid int) {
	t.Helper()
	u, g, _ := strings.Cut(owner, ":")
	uid, err := strconv.Atoi(u)
	if err == nil {
		gid, err = strconv.Atoi(g)
	}
	if err != nil {
		t.Fatalf("%q is not UID:GID: an image from scratch knows no names", owner)
	}
	return uid, gid
}

// chown gives a path of the image to an owner.
func (m *image) chown(t *testing.T, p, owner string) {
	t.Helper()
	uid, gid := ids(t, owner)
	for dir := m.dir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) { // so that it is reached
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(m.dir, p), uid, gid); err != nil {
		t.Fatal(err)
	}
}

// command is a process of the container. Its files but the data directory belong to
// root, so that the user can change none of them.
func (c *container) command(ctx context.Context, t *testing.T, user string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	uid, gid := ids(t, user)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = c.image.workdir
	cmd.Env = c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.image.dir, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// eventually waits until a condition holds.
func eventually(ctx context.Context, t *testing.T, holds func() bool, complaint func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(complaint())
		}
	}
}

// freeAddress returns an address of loopback that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nobody has connected
	return l.Addr().String()
}

// A composeFile is what we use of the Compose specification.
type composeFile struct {
	Name     string                    `yaml:"name"`
	Services map[string]composeService `yaml:"services"`
	Configs  map[string]composeSource  `yaml:"configs"`
	Secrets  map[string]composeSource  `yaml:"secrets"`
	Volumes  map[string]map[string]any `yaml:"volumes"`
}

// A composeSource is a file that becomes a config or a secret.
type composeSource struct {
	File string `yaml:"file"`
}

// A composeService is a service of a composeFile.
type composeService struct {
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	Image           string             `yaml:"image"`
	Command         []string           `yaml:"command"`
	User            string             `yaml:"user"`
	ReadOnly        bool               `yaml:"read_only"`
	CapDrop         []string           `yaml:"cap_drop"`
	SecurityOpt     []string           `yaml:"security_opt"`
	Restart         string             `yaml:"restart"`
	StopGracePeriod string             `yaml:"stop_grace_period"`
	Environment     map[string]*string `yaml:"environment"`
	Ports           []string           `yaml:"ports"`
	Configs         []struct {
		Source string `yaml:"source"`
		Target string `yaml:"target"`
	} `yaml:"configs"`
	Secrets []string `yaml:"secrets"`
	Volumes []string `yaml:"volumes"`
	Tmpfs   []string `yaml:"tmpfs"`
}

// readCompose decodes the Compose file, and refuses what does not fit together.
func readCompose(t *testing.T) (composeFile, composeService) {
	t.Helper()
	var f composeFile
	readYAML(t, read(t, "deploy", "compose", "compose.yaml"), &f)
	s, ok := f.Services["gapless"]
	if !ok || len(f.Services) != 1 {
		t.Fatalf("services: %v", f.Services)
	}
	context := path.Join("deploy/compose", s.Build.Context)
	if _, err := os.Stat(filepath.Join(root, context, s.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	for _, v := range s.Volumes {
		if name, _, _ := strings.Cut(v, ":"); f.Volumes[name] == nil {
			t.Errorf("volume %s is not declared", name)
		}
	}
	return f, s
}

// TestComposeRuns runs what the Compose file runs, within the files of the image: its
// command line, variables, configuration and secret, as its user. Then it stops it as
// Compose does.
func TestComposeRuns(t *testing.T) {
	t.Parallel()
	f, s := readCompose(t)
	m := newImage(t)
	if s.User != m.user || !s.ReadOnly || !slices.Contains(s.Volumes, "data:/var/lib/gapless") {
		t.Errorf("the service does not fit the image: %+v", s)
	}
	for _, c := range s.Configs {
		write(t, filepath.Join(m.dir, c.Target), read(t, "deploy", "compose", f.Configs[c.Source].File))
	}
	for _, name := range s.Secrets {
		if f.Secrets[name].File == "" {
			t.Errorf("secret %s is no file", name)
		}
		write(t, filepath.Join(m.dir, "run/secrets", name), clientSecret+"\n")
	}
	st := newStage(t)
	var env []string
	for name, value := range s.Environment {
		if value != nil {
			env = append(env, name+"="+*value)
		}
	}
	c := newContainer(t, m, append(env,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "GAPLESS_LISTEN="+freeAddress(t),
		"GAPLESS_TENANT_DOMAIN="+st.auth0, "GAPLESS_AWS_ENDPOINT="+st.aws)...)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd, out := c.command(ctx, t, s.User, slices.Concat(m.entrypoint, s.Command)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var healthy string
	eventually(ctx, t, func() bool {
		check, said := c.command(ctx, t, s.User, m.healthy...)
		err := check.Run()
		healthy = said.String()
		return err == nil
	}, func() string { return "it never got healthy: " + healthy })
	eventually(ctx, t, func() bool { return len(st.cloudwatch.Events("/auth0/dev-tenant", "logs")) >= st.tenant.Len() },
		func() string { return "not every event arrived" })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, out)
	}
	st.compare(t, "/auth0/dev-tenant")
	if strings.Contains(out.String(), `"level":"WARN"`) || strings.Contains(out.String(), clientSecret) {
		t.Errorf("%s", out)
	}
	if info, err := os.Stat(filepath.Join(m.dir, "var/lib/gapless/gapless.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the store: %v, %v", info, err)
	}
}
