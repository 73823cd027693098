#!/bin/sh
# Runs each fuzz target for a time, one after another, and ends with the first
# that fails: fuzz.sh TIME [PACKAGE...]. What fails is kept by go under
# testdata/fuzz of its package, where every later test run tries it again.
set -eu
time=$1
shift
for package in $(${GO:-go} list "${@:-./...}"); do
	for target in $(${GO:-go} test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		printf '%s %s\n' "$package" "$target"
		${GO:-go} test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel "${FUZZPARALLEL:-1}" "$package"
	done
done
