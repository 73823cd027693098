// Command dist builds the release binaries of gapless: one static file for each
// system, and SHA256SUMS over them. The same commit built with the same release
// of Go gives the same bytes on every machine.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

// versionVar is the variable that holds the version of a released program.
const versionVar = "main.version"

// platforms are the systems that we build for.
var platforms = []platform{
	{"linux", "amd64"},
	{"linux", "arm64"},
	{"darwin", "amd64"},
	{"darwin", "arm64"},
	{"windows", "amd64"},
	{"windows", "arm64"},
}

// platform is an operating system and a processor, in Go's names.
type platform struct{ os, arch string }

func main() {
	out := flag.String("out", "dist", "directory to write to; it is emptied first")
	pkg := flag.String("pkg", "./cmd/gapless", "package to build")
	version := flag.String("version", "", "version to build in; found out from git when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *out, *pkg, *version)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// run builds every binary and writes the checksums.
func run(ctx context.Context, out, pkg, version string) error {
	if version == "" {
		version = gitVersion(ctx)
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var sums strings.Builder
	for _, p := range platforms {
		name := p.fileName(version)
		path := filepath.Join(out, name)
		if err := build(ctx, p, pkg, version, path); err != nil {
			return fmt.Errorf("build for %s/%s: %w", p.os, p.arch, err)
		}
		sum, size, err := checksum(path)
		if err != nil {
			return err
		}
		fmt.Printf("%s  %5.1f MB  %s\n", sum[:12], float64(size)/1e6, path)
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// fileName is the name of the binary for a platform.
func (p platform) fileName(version string) string {
	name := fmt.Sprintf("gapless_%s_%s_%s", strings.TrimPrefix(version, "v"), p.os, p.arch)
	if p.os == "windows" {
		name += ".exe"
	}
	return name
}

// build compiles one binary. Nothing of the machine gets into it, neither paths
// nor symbols nor an id of the build, but for the commit that it was built from.
func build(ctx context.Context, p platform, pkg, version, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath",
		"-ldflags", "-s -w -buildid= -X "+versionVar+"="+version, "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+p.os, "GOARCH="+p.arch, "GOAMD64=v1", "GOARM64=v8.0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// gitVersion is the nearest tag with what came after it, or "dev" without git.
func gitVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if v := strings.TrimSpace(string(out)); err == nil && v != "" {
		return v
	}
	return "dev"
}

// checksum returns the SHA-256 of a file in hex, and its size.
func checksum(path string) (sum string, size int, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", 0, err
	}
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:]), len(data), nil
}
