package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documents returns the pages of the repository, by their path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	pages := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 2 && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		pages[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 20 {
		t.Fatalf("found %d pages alone", len(pages))
	}
	return pages
}

// blocks returns the fenced blocks of a page, and the page without them.
func blocks(page string) (code []string, prose string) {
	fence := regexp.MustCompile("(?ms)^```.*?^```$")
	return fence.FindAllString(page, -1), fence.ReplaceAllString(page, "")
}

// anchors returns what a link to a heading of the page may end with, as GitHub makes
// it of the heading.
func anchors(page string) map[string]bool {
	_, prose := blocks(page)
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose, -1) {
		heading := strings.ToLower(regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1"))
		heading = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`).ReplaceAllString(heading, "")
		out[strings.ReplaceAll(heading, " ", "-")] = true
	}
	return out
}

// TestLinksOfDocuments: each link of a page to another of ours leads somewhere, also
// within it.
func TestLinksOfDocuments(t *testing.T) {
	pages := documents(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for name, page := range pages {
		_, prose := blocks(page)
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
				continue
			}
			if anchor != "" && !anchors(pages[target])[anchor] {
				t.Errorf("%s links to %s, a heading that is not there", name, m[1])
			}
		}
	}
}

// TestTranslations: a page in Japanese has the commands and files of the one in
// English, and as many sections, so that neither is changed alone.
func TestTranslations(t *testing.T) {
	pages := documents(t)
	found := 0
	for name, page := range pages {
		base, ok := strings.CutSuffix(name, ".ja.md")
		if !ok {
			continue
		}
		found++
		english, ok := pages[base+".md"]
		if !ok {
			t.Errorf("%s translates no page", name)
			continue
		}
		wantCode, wantProse := blocks(english)
		code, prose := blocks(page)
		if diff := cmp.Diff(wantCode, code); diff != "" {
			t.Errorf("%s has other commands than %s.md (-English +Japanese):\n%s", name, base, diff)
		}
		if want, got := strings.Count(wantProse, "\n## "), strings.Count(prose, "\n## "); want != got {
			t.Errorf("%s has %d sections, %s.md %d", name, got, base, want)
		}
	}
	if found < 2 {
		t.Fatalf("found %d translations alone", found)
	}
}
