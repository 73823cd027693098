#!/bin/sh
# Sees to it that there is a Chromium for the tests of the page. It installs Debian's as
# root, and says otherwise what to do; the tests skip, and say so, where there is none.
set -eu

[ -z "${CHROMIUM:-}" ] || exit 0
for name in chromium chromium-browser google-chrome chrome; do
	if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing chromium for the tests of the page, once" >&2
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	if { apt-get install -y --no-install-recommends chromium ||
		{ apt-get update && apt-get install -y --no-install-recommends chromium; }; } >"$log" 2>&1 </dev/null; then
		rm -f "$log"
		exit 0
	fi
	tail -n 3 "$log" >&2
	rm -f "$log"
fi
echo "no chromium: the tests of the page will not run. Install it (apt-get install -y chromium, or any Chromium" >&2
echo "or Chrome on PATH), or name the program in CHROMIUM." >&2
