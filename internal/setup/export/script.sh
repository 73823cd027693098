set -eu
export AWS_PAGER=

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
trap 'exit 130' HUP INT TERM
left=0    # how much could not be done
lacking=  # what the endpoint does not know, each between brackets
lacked=0  # how much was left out for that
optional= # what is put now, when it is something that gapless can do without

# What endpoints that are not AWS's answer to a call that they do not know. AWS knows
# all that is called here, and what it refuses, or fails at, ends the script.
unknown=-
if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
	unknown='404|500|501|InternalFailure|InvalidAction|NotImplemented|UnknownOperation(Exception)?'
fi

fail() {
	printf 'gapless-setup: %s\n' "$*" >&2
	exit 1
}

say() { printf '%-6s %s\n' "$1" "$2"; }

# refused CODE: whether the last error of AWS is CODE, an extended regular expression.
refused() { grep -Eq "\(($1)\)" "$errors"; }

# create WHAT CODE COMMAND...: makes something. CODE is AWS's error for what is there.
create() {
	what=$1 code=$2
	shift 2
	if "$@" >/dev/null 2>"$errors"; then
		say made "$what"
	elif refused "$code"; then
		say there "$what"
	else
		cat "$errors" >&2
		fail "could not make $what"
	fi
}

# known KIND: whether the endpoint may know the calls for what gapless can do without.
# What is put then may turn out to be lacking; the next of its kind is not tried.
known() {
	optional=
	case $lacking in
	*"($1)"*)
		lacked=$((lacked + 1))
		return 1
		;;
	esac
	optional=$1
}

# put WHAT COMMAND...: sets something to what it is to be, which may be run again.
put() {
	what=$1
	shift
	if "$@" >/dev/null 2>"$errors"; then
		say set "$what"
	elif [ -n "$optional" ] && refused "$unknown"; then
		printf 'gapless-setup: %s does not know %s, which are left out; it said: %s\n' \
			"$AWS_ENDPOINT_URL" "$optional" "$(sed -n '/./{s/ operation.*/ operation/p;q;}' "$errors")" >&2
		lacking="$lacking($optional)" lacked=$((lacked + 1))
	elif grep -Eiq "invalid choice|unknown options" "$errors"; then
		say left "$what: this release of the AWS CLI is too old for it"
		left=$((left + 1))
	else
		cat "$errors" >&2
		fail "could not set $what"
	fi
}

# ask CODE COMMAND...: prints a text or number that AWS answers; nothing where there is
# none, or where the error is CODE. JSON, as text is made of each page by itself.
ask() {
	code=$1
	shift
	if answer=$("$@" --output json 2>"$errors"); then
		if [ "$answer" != null ]; then printf '%s\n' "$answer" | sed 's/^"\(.*\)"$/\1/'; fi
	elif ! refused "$code"; then
		cat "$errors" >&2
		fail "could not ask AWS"
	fi
}

# safe WHAT TEXT: ends the script when a text is not one that can stand in JSON.
safe() {
	case $2 in
	'' | *[!A-Za-z0-9:/._+=@-]*) fail "$1 is not what it should be: $2" ;;
	esac
}

# policy NAME ARN DOCUMENT: gives a policy that is there a new version, where its
# document differs. AWS keeps five; the oldest makes room.
policy() {
	version=$(aws iam get-policy --policy-arn "$2" --query Policy.DefaultVersionId --output text)
	have=$(aws iam get-policy-version --policy-arn "$2" --version-id "$version" --query PolicyVersion.Document --output json)
	if [ "$(printf %s "$have" | tr -d '[:space:]')" = "$(printf %s "$3" | tr -d '[:space:]')" ]; then return; fi
	oldest=$(ask - aws iam list-policy-versions --policy-arn "$2" --query 'Versions[4] && Versions[?!IsDefaultVersion] | [-1].VersionId')
	if [ -n "$oldest" ]; then
		put "oldest version of policy $1 taken away" aws iam delete-policy-version --policy-arn "$2" --version-id "$oldest"
	fi
	put "document of policy $1" aws iam create-policy-version --policy-arn "$2" --policy-document "$3" --set-as-default
}

command -v aws >/dev/null || fail 'the AWS CLI is missing: https://docs.aws.amazon.com/cli/'

# Release 1 of the AWS CLI does not ask AWS_ENDPOINT_URL for SQS.
aws() {
	if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
		command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"
	else
		command aws "$@"
	fi
}
