package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// record is one line of `go test -json`; see `go doc test2json`.
type record struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

// test names a test within a run.
type test struct{ pkg, name string }

// skip is a test that did not run.
type skip struct {
	test
	reason string
}

// summary collects what a run of `go test -json` says.
type summary struct {
	passed, failed int
	skips          []skip
	failedIn       map[string]bool           // packages with a failed test
	output         map[test]*strings.Builder // of the tests that are not done
}

// newSummary begins with nothing.
func newSummary() *summary {
	return &summary{failedIn: make(map[string]bool), output: make(map[test]*strings.Builder)}
}

// read follows a run. It prints the lines of the packages as they come and the
// output of a test once it has failed.
func (s *summary) read(r io.Reader, w io.Writer) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var rec record
			if json.Unmarshal(line, &rec) != nil {
				fmt.Fprintf(w, "%s", line) // what go prints outside of its protocol
			} else {
				s.take(rec, w)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read output of go test: %w", err)
		}
	}
}

// take takes in one line.
func (s *summary) take(rec record, w io.Writer) {
	id := test{rec.Package, rec.Test}
	switch {
	case rec.Action == "build-output":
		fmt.Fprint(w, rec.Output)
	case rec.Test == "":
		s.takePackage(rec, w)
	case rec.Action == "output":
		if s.output[id] == nil {
			s.output[id] = new(strings.Builder)
		}
		s.output[id].WriteString(rec.Output)
	case rec.Action == "pass":
		s.passed++
		delete(s.output, id)
	case rec.Action == "fail":
		s.failed++
		s.failedIn[rec.Package] = true
		s.dump(id, w)
	case rec.Action == "skip":
		s.skips = append(s.skips, skip{id, s.reason(id)})
		delete(s.output, id)
	}
}

// takePackage takes in a line about a whole package.
func (s *summary) takePackage(rec record, w io.Writer) {
	switch rec.Action {
	case "output":
		if !noise(rec.Output) {
			fmt.Fprint(w, rec.Output)
		}
	case "fail":
		s.failedPackage(rec, w)
	}
}

// failedPackage makes sure that a package that failed counts, even when no test
// of it did: it may not compile, or crash; then the tests that never ended are
// the suspects.
func (s *summary) failedPackage(rec record, w io.Writer) {
	for id := range s.output {
		if id.pkg == rec.Package {
			s.failed++
			s.failedIn[rec.Package] = true
			s.dump(id, w)
		}
	}
	if !s.failedIn[rec.Package] {
		s.failed++
	}
}

// noise reports whether a line about a package says nothing that its closing
// line does not say too.
func noise(line string) bool {
	return line == "PASS\n" || strings.HasPrefix(line, "-test.shuffle ") || strings.HasSuffix(line, "[no test files]\n")
}

// dump prints what a failed test wrote.
func (s *summary) dump(id test, w io.Writer) {
	if out := s.output[id]; out != nil {
		fmt.Fprint(w, out.String())
	}
	delete(s.output, id)
}

// reason finds what a test said when it skipped.
func (s *summary) reason(id test) string {
	out := s.output[id]
	if out == nil {
		return "no reason given"
	}
	var reason []string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		reason = append(reason, line)
	}
	return strings.Join(reason, " ")
}

// print names every test that did not run.
func (s *summary) print(w io.Writer) {
	if len(s.skips) == 0 {
		return
	}
	fmt.Fprintf(w, "\nNOT RUN: %d tests were skipped. What each of them says:\n", len(s.skips))
	for _, x := range s.skips {
		fmt.Fprintf(w, "  %s %s: %s\n", x.pkg, x.name, x.reason)
	}
}

// closing is the last line of a run.
func (s *summary) closing() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", s.passed, s.failed, len(s.skips))
}
