// Package browsertest opens the page in a headless Chromium, for tests only.
//
// One Browser serves a whole test package; each Tab has cookies and storage of its own.
// A tab fails its test for whatever a person would not see but should not have to: errors
// on the console, exceptions that nothing caught, answers of 400 and above, and requests
// to any other place than the server under test. Nothing leaves the machine: Chromium is
// told to resolve no name, and to make no call of its own.
//
// It needs Chromium on the machine (the program that CHROMIUM names, or one of the usual
// names on PATH). Where there is none, Start returns ErrNoChromium, which says what to
// install; `make test` does that by itself where it can.
package browsertest
