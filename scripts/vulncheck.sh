#!/bin/sh
# Asks govulncheck whether the code calls what the Go vulnerability database
# knows as a hole: vulncheck.sh [PACKAGE...]. GOVULNCHECK names the tool, and
# VULNDB the database, of which file:///DIR may be a copy.
#
# Exit codes: 0 no known hole; 3 there are some; 4 NOT CHECKED, because the tool
# could not be built, could not reach its database, or failed. Only the first
# says anything good about the code.
set -u
tool=${GOVULNCHECK:-govulncheck}
db=${VULNDB:-https://vuln.go.dev}

not_checked() {
	{
		echo "vulncheck: NOT CHECKED: $1"
		echo "vulncheck: this says nothing about holes. The database $db must be reachable; without a network,"
		echo "vulncheck: unpack a copy of it and name it: make vulncheck VULNDB=file:///path/to/vulndb"
	} >&2
	exit 4
}

command -v "$tool" >/dev/null || not_checked "govulncheck is not there; make vulncheck builds it, once, from the module proxy"
[ $# -gt 0 ] || set -- ./...
"$tool" -db "$db" -version || not_checked "govulncheck does not run" # says of when the database is
"$tool" -db "$db" "$@"
code=$?
case $code in
0) echo "vulncheck: no known hole in $db is called" ;;
3)
	echo "vulncheck: there are known holes, see above; docs/dependencies.md says what to do" >&2
	exit 3
	;;
*) not_checked "govulncheck failed with code $code" ;;
esac
