package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPlainTestsRun compares the tests that the Makefile names as PLAIN with the
// packages of PLAIN_IN. A name that a package elsewhere has too would be left out
// there, and one that no package has does nothing.
func TestPlainTestsRun(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string]bool)
	for _, p := range makeList(t, string(makefile), "PLAIN_IN") {
		packages[filepath.Join(root, p)] = false
	}
	found := make(map[string]bool)
	for _, name := range makeList(t, string(makefile), "PLAIN") {
		found[name] = false
	}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			if _, plain := found[m[1]]; !plain {
				continue
			}
			found[m[1]] = true
			if _, in := packages[filepath.Dir(path)]; !in {
				t.Errorf("%s is named in PLAIN, and %s is not in PLAIN_IN", m[1], filepath.Dir(path))
			}
			packages[filepath.Dir(path)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, ok := range found {
		if !ok {
			t.Errorf("PLAIN names %s, which is no test", name)
		}
	}
	for dir, ok := range packages {
		if !ok {
			t.Errorf("PLAIN_IN names %s, which holds no test of PLAIN", dir)
		}
	}
}

// makeList returns the words of a variable of a Makefile.
func makeList(t *testing.T, makefile, name string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(makefile, "\n"+name+" := \\\n")
	if !ok {
		t.Fatalf("the Makefile has no list %s", name)
	}
	var words []string
	for line := range strings.Lines(rest) {
		words = append(words, strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), "\\"))...)
		if !strings.HasSuffix(strings.TrimSpace(line), "\\") {
			break
		}
	}
	return words
}
