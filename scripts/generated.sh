#!/bin/sh
# Fails when a generated file is not what its generator writes today. The tree
# may have changes of its own: only what `make generate` changes counts.
set -eu

if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	echo "generated files: NOT CHECKED, because this is no git work tree" >&2
	exit 0
fi

# state names every file that differs from HEAD, with its content.
state() {
	git ls-files --modified --others --exclude-standard |
		while IFS= read -r file; do
			if [ -f "$file" ]; then
				printf '%s %s\n' "$(git hash-object -- "$file")" "$file"
			fi
		done
}

before=$(state)
make --no-print-directory generate >/dev/null
after=$(state)
if [ "$before" != "$after" ]; then
	echo "generated files were out of date; they are right now, commit them:" >&2
	git status --short >&2
	exit 1
fi
echo "generated files: up to date"
