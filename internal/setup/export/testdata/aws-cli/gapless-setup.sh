#!/bin/sh
# Made by gapless 1.2.3: gapless setup export --format aws-cli
#
#   sh gapless-setup.sh
#
# It makes what is missing, and may be run again. Log groups that are there and were not made by
# gapless stay as they are, and tags are given only to what is made. It needs the AWS CLI,
# release 1 or 2, and credentials; AWS_ENDPOINT_URL leads it to an emulator.
#
# A note with `a line` end; it's only a comment rm -rf
#
# Auth0 application dev/gapless is not in here, as it is made in Auth0: gapless setup apply makes
# it, or in Auth0's dashboard Applications > Create Application > Machine to Machine, authorized
# for the Auth0 Management API with read:logs alone.
#
# Auth0 log stream dev/gapless is not in here, as it is made in Auth0: gapless setup apply makes
# it, or in Auth0's dashboard Monitoring > Streams > Create Stream, of type Amazon EventBridge.
#
# Auth0 log stream dev/gapless-hook is not in here, as it is made in Auth0: gapless setup apply
# makes it, or in Auth0's dashboard Monitoring > Streams > Create Stream, of type Custom Webhook.
#
# Set the variable DEV_GAPLESS_PARTNER_EVENT_SOURCE to the partner event source of the Auth0 log
# stream dev/gapless.

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

[ -n "${DEV_GAPLESS_PARTNER_EVENT_SOURCE:-}" ] || fail 'set DEV_GAPLESS_PARTNER_EVENT_SOURCE to the partner event source of the Auth0 log stream dev/gapless'
safe 'DEV_GAPLESS_PARTNER_EVENT_SOURCE' "$DEV_GAPLESS_PARTNER_EVENT_SOURCE"

account=$(aws sts get-caller-identity --region='eu-central-1' --query Account --output text)
partition=$(aws sts get-caller-identity --region='eu-central-1' --query Arn --output text | cut -d: -f2)
safe 'the account' "$account"
safe 'the partition' "$partition"

# log group /auth0/dev (eu-central-1)
create 'log group /auth0/dev (eu-central-1)' 'ResourceAlreadyExistsException' aws logs create-log-group \
	--region='eu-central-1' \
	--log-group-name='/auth0/dev' \
	--tags='{"comma":"Key=x,Value=y","comment":"a # b: c","date":"2012-10-17","dollar":"$(reboot)","double":"a\"b\\c","gapless:setup":"gapless","number":"0123","odd":"{{foo}} é","single":"it'\''s `id`","template":"${x} $${y} %{if} %%{z} '"$account"'","yaml":"!Sub ${AWS::AccountId}","yes":"no"}'
owner=$(ask - aws logs list-tags-for-resource \
	--region='eu-central-1' \
	--resource-arn='arn:'"$partition"':logs:eu-central-1:'"$account"':log-group:/auth0/dev' \
	--query='tags."gapless:setup"')
if [ "$owner" = 'gapless' ]; then
	put 'retention of /auth0/dev' aws logs put-retention-policy \
		--region='eu-central-1' \
		--log-group-name='/auth0/dev' \
		--retention-in-days=365
else
	say kept 'log group /auth0/dev is not gapless'\''s, and stays as it is'
fi

# log stream /auth0/dev : logs (eu-central-1)
create 'log stream /auth0/dev : logs (eu-central-1)' 'ResourceAlreadyExistsException' aws logs create-log-stream \
	--region='eu-central-1' \
	--log-group-name='/auth0/dev' \
	--log-stream-name='logs'

# log group /auth0/dev (us-east-1)
create 'log group /auth0/dev (us-east-1)' 'ResourceAlreadyExistsException' aws logs create-log-group \
	--region='us-east-1' \
	--log-group-name='/auth0/dev' \
	--tags='{"gapless:setup":"gapless"}'

# log stream /auth0/dev : logs (us-east-1)
create 'log stream /auth0/dev : logs (us-east-1)' 'ResourceAlreadyExistsException' aws logs create-log-stream \
	--region='us-east-1' \
	--log-group-name='/auth0/dev' \
	--log-stream-name='logs'

# metric filter /auth0/dev : gapless-dev-logins-failed (eu-central-1)
put 'metric filter /auth0/dev : gapless-dev-logins-failed (eu-central-1)' aws logs put-metric-filter \
	--region='eu-central-1' \
	--log-group-name='/auth0/dev' \
	--filter-name='gapless-dev-logins-failed' \
	--filter-pattern='{ ($.type = "f") || ($.type = "fp*") }' \
	--metric-transformations='[{"metricName":"LoginsFailed","metricNamespace":"gapless/dev","metricValue":"1","defaultValue":0}]'

# metric filter /auth0/dev : gapless-dev-all (eu-central-1)
put 'metric filter /auth0/dev : gapless-dev-all (eu-central-1)' aws logs put-metric-filter \
	--region='eu-central-1' \
	--log-group-name='/auth0/dev' \
	--filter-name='gapless-dev-all' \
	--filter-pattern='' \
	--metric-transformations='[{"metricName":"All","metricNamespace":"gapless/dev","metricValue":"1","defaultValue":0}]'

# alarm gapless-dev-logins-failed (eu-central-1)
put 'alarm gapless-dev-logins-failed (eu-central-1)' aws cloudwatch put-metric-alarm \
	--region='eu-central-1' \
	--alarm-name='gapless-dev-logins-failed' \
	--alarm-description='More than 100 "failed" logins in 5 minutes: it'\''s ${odd}' \
	--namespace='gapless/dev' \
	--metric-name='LoginsFailed' \
	--statistic='Sum' \
	--period=300 \
	--evaluation-periods=1 \
	--threshold=100 \
	--comparison-operator='GreaterThanOrEqualToThreshold' \
	--treat-missing-data='notBreaching' \
	--alarm-actions='["arn:aws:sns:eu-central-1:123456789012:security"]' \
	--ok-actions='["arn:aws:sns:eu-central-1:123456789012:security"]' \
	--tags='[{"Key":"gapless:setup","Value":"gapless"}]'

# dashboard gapless-dev
document='{
  "widgets": [
    {
      "height": 3,
      "properties": {
        "markdown": "# Auth0 '\''dev'\''\n${x} in '"$account"'"
      },
      "type": "text",
      "width": 12,
      "x": 0,
      "y": 0
    },
    {
      "height": 6,
      "properties": {
        "metrics": [
          [
            "gapless/dev",
            "LoginsFailed"
          ]
        ],
        "period": 300,
        "region": "eu-central-1",
        "stat": "Sum",
        "view": "timeSeries"
      },
      "type": "metric",
      "width": 12,
      "x": 0,
      "y": 3
    }
  ]
}'
put 'dashboard gapless-dev' aws cloudwatch put-dashboard \
	--region='eu-central-1' \
	--dashboard-name='gapless-dev' \
	--dashboard-body="$document"

# field indexes /auth0/dev (eu-central-1)
owner=$(ask - aws logs list-tags-for-resource \
	--region='eu-central-1' \
	--resource-arn='arn:'"$partition"':logs:eu-central-1:'"$account"':log-group:/auth0/dev' \
	--query='tags."gapless:setup"')
if [ "$owner" = 'gapless' ]; then
	if known 'field indexes'; then
		put 'field indexes /auth0/dev (eu-central-1)' aws logs put-index-policy \
			--region='eu-central-1' \
			--log-group-identifier='/auth0/dev' \
			--policy-document='{"Fields":["type","user_id"]}'
		optional=
	fi
else
	say kept 'log group /auth0/dev is not gapless'\''s, and stays as it is'
fi

# saved query gapless/dev/Failed logins by user (eu-central-1)
if known 'saved queries'; then
	id=$(ask "$unknown" aws logs describe-query-definitions \
		--region='eu-central-1' \
		--query-definition-name-prefix='gapless/dev/Failed logins by user' \
		--query='queryDefinitions[?name==`"gapless/dev/Failed logins by user"`] | [0].queryDefinitionId')
	put 'saved query gapless/dev/Failed logins by user (eu-central-1)' aws logs put-query-definition \
		--region='eu-central-1' \
		--name='gapless/dev/Failed logins by user' \
		--log-group-names='["/auth0/dev"]' \
		--query-string='fields @timestamp, user_name
| filter type in ["f", "fp"] and ip like /10\.0/
| stats count(*) as n by user_name
| sort n desc' ${id:+"--query-definition-id=$id"}
	optional=
fi

# saved query gapless/dev/It's "odd" `${x}` (us-east-1)
if known 'saved queries'; then
	id=$(ask "$unknown" aws logs describe-query-definitions \
		--region='us-east-1' \
		--query-definition-name-prefix='gapless/dev/It'\''s "odd" `${x}`' \
		--query='queryDefinitions[?name==`"gapless/dev/It'\''s \"odd\" \u0060${x}\u0060"`] | [0].queryDefinitionId')
	put 'saved query gapless/dev/It'\''s "odd" `${x}` (us-east-1)' aws logs put-query-definition \
		--region='us-east-1' \
		--name='gapless/dev/It'\''s "odd" `${x}`' \
		--query-string='fields @message # '\''$(reboot)'\'' ${x} %{y}' ${id:+"--query-definition-id=$id"}
	optional=
fi

# policy gapless
document='{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Send",
      "Effect": "Allow",
      "Action": [
        "logs:PutLogEvents",
        "logs:DescribeLogStreams"
      ],
      "Resource": [
        "arn:'"$partition"':logs:eu-central-1:'"$account"':log-group:/auth0/dev:*",
        "arn:'"$partition"':logs:us-east-1:'"$account"':log-group:/auth0/dev:*"
      ]
    },
    {
      "Effect": "Allow",
      "Action": "sqs:ReceiveMessage",
      "Resource": "arn:'"$partition"':sqs:eu-central-1:'"$account"':gapless-dev",
      "Condition": {
        "StringLike": {
          "aws:PrincipalTag/x": "${aws:username}"
        }
      }
    }
  ]
}'
create 'policy gapless' 'EntityAlreadyExists' aws iam create-policy \
	--policy-name='gapless' \
	--description='What gapless needs' \
	--policy-document="$document" \
	--tags='[{"Key":"comma","Value":"Key=x,Value=y"},{"Key":"comment","Value":"a # b: c"},{"Key":"date","Value":"2012-10-17"},{"Key":"dollar","Value":"$(reboot)"},{"Key":"double","Value":"a\"b\\c"},{"Key":"gapless:setup","Value":"gapless"},{"Key":"number","Value":"0123"},{"Key":"odd","Value":"{{foo}} é"},{"Key":"single","Value":"it'\''s `id`"},{"Key":"template","Value":"${x} $${y} %{if} %%{z} '"$account"'"},{"Key":"yaml","Value":"!Sub ${AWS::AccountId}"},{"Key":"yes","Value":"no"}]'
policy 'gapless' 'arn:'"$partition"':iam::'"$account"':policy/gapless' "$document"

# role gapless
document='{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Service": "ecs-tasks.amazonaws.com"
      },
      "Action": "sts:AssumeRole"
    }
  ]
}'
create 'role gapless' 'EntityAlreadyExists' aws iam create-role \
	--role-name='gapless' \
	--description='Runs gapless' \
	--assume-role-policy-document="$document" \
	--tags='[{"Key":"comma","Value":"Key=x,Value=y"},{"Key":"comment","Value":"a # b: c"},{"Key":"date","Value":"2012-10-17"},{"Key":"dollar","Value":"$(reboot)"},{"Key":"double","Value":"a\"b\\c"},{"Key":"gapless:setup","Value":"gapless"},{"Key":"number","Value":"0123"},{"Key":"odd","Value":"{{foo}} é"},{"Key":"single","Value":"it'\''s `id`"},{"Key":"template","Value":"${x} $${y} %{if} %%{z} '"$account"'"},{"Key":"yaml","Value":"!Sub ${AWS::AccountId}"},{"Key":"yes","Value":"no"}]'
put 'trust of role gapless' aws iam update-assume-role-policy \
	--role-name='gapless' \
	--policy-document="$document"
put 'policy of role gapless' aws iam attach-role-policy \
	--role-name='gapless' \
	--policy-arn='arn:'"$partition"':iam::'"$account"':policy/gapless'
put 'policy of role gapless' aws iam attach-role-policy \
	--role-name='gapless' \
	--policy-arn='arn:'"$partition"':iam::aws:policy/ReadOnlyAccess'

# instance profile gapless
create 'instance profile gapless' 'EntityAlreadyExists' aws iam create-instance-profile \
	--instance-profile-name='gapless' \
	--tags='[{"Key":"gapless:setup","Value":"gapless"}]'
role=$(ask - aws iam get-instance-profile \
	--instance-profile-name='gapless' \
	--query='InstanceProfile.Roles[0].RoleName')
if [ "$role" != 'gapless' ]; then
	put 'role of instance profile gapless' aws iam add-role-to-instance-profile \
		--instance-profile-name='gapless' \
		--role-name='gapless'
fi

# user gapless
create 'user gapless' 'EntityAlreadyExists' aws iam create-user \
	--user-name='gapless' \
	--tags='[{"Key":"comma","Value":"Key=x,Value=y"},{"Key":"comment","Value":"a # b: c"},{"Key":"date","Value":"2012-10-17"},{"Key":"dollar","Value":"$(reboot)"},{"Key":"double","Value":"a\"b\\c"},{"Key":"gapless:setup","Value":"gapless"},{"Key":"number","Value":"0123"},{"Key":"odd","Value":"{{foo}} é"},{"Key":"single","Value":"it'\''s `id`"},{"Key":"template","Value":"${x} $${y} %{if} %%{z} '"$account"'"},{"Key":"yaml","Value":"!Sub ${AWS::AccountId}"},{"Key":"yes","Value":"no"}]'
put 'policy of user gapless' aws iam attach-user-policy \
	--user-name='gapless' \
	--policy-arn='arn:'"$partition"':iam::'"$account"':policy/gapless'

# access key gapless
file=${GAPLESS_KEY_FILE:-'access-key-of-gapless.json'}
keys=$(ask - aws iam list-access-keys \
	--user-name='gapless' \
	--query='AccessKeyMetadata[0].AccessKeyId')
if [ -n "$keys" ]; then
	say there 'access key gapless'
else
	[ ! -e "$file" ] || fail "$file is there already; set GAPLESS_KEY_FILE to another name"
	(umask 077 && : >"$file")
	aws iam create-access-key \
	--user-name='gapless' \
	--output=json >"$file" ||
		{ rm -f "$file"; fail 'could not make the access key'; }
	say made 'access key gapless'": in $file"
fi

# OpenID Connect provider token.actions.githubusercontent.com
create 'OpenID Connect provider token.actions.githubusercontent.com' 'EntityAlreadyExists' aws iam create-open-id-connect-provider \
	--url='https://token.actions.githubusercontent.com' \
	--client-id-list='["sts.amazonaws.com"]' \
	--tags='[{"Key":"gapless:setup","Value":"gapless"}]'
audience=$(ask - aws iam get-open-id-connect-provider \
	--open-id-connect-provider-arn='arn:'"$partition"':iam::'"$account"':oidc-provider/token.actions.githubusercontent.com' \
	--query='contains(ClientIDList, `"sts.amazonaws.com"`)')
if [ "$audience" != true ]; then
	put 'audience sts.amazonaws.com of OpenID Connect provider token.actions.githubusercontent.com' aws iam add-client-id-to-open-id-connect-provider \
		--open-id-connect-provider-arn='arn:'"$partition"':iam::'"$account"':oidc-provider/token.actions.githubusercontent.com' \
		--client-id='sts.amazonaws.com'
fi

# role gapless-github
document='{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:'"$partition"':iam::'"$account"':oidc-provider/token.actions.githubusercontent.com"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringLike": {
          "token.actions.githubusercontent.com:sub": "repo:example/it'\''s:*"
        }
      }
    }
  ]
}'
create 'role gapless-github' 'EntityAlreadyExists' aws iam create-role \
	--role-name='gapless-github' \
	--assume-role-policy-document="$document"
put 'trust of role gapless-github' aws iam update-assume-role-policy \
	--role-name='gapless-github' \
	--policy-document="$document"
put 'policy of role gapless-github' aws iam attach-role-policy \
	--role-name='gapless-github' \
	--policy-arn='arn:'"$partition"':iam::'"$account"':policy/gapless'

# trust anchor gapless (eu-central-1)
anchor_gapless=$(ask '-' aws rolesanywhere list-trust-anchors \
	--region='eu-central-1' \
	--query='trustAnchors[?name==`"gapless"`] | [0].trustAnchorArn')
if [ -z "$anchor_gapless" ]; then
	create 'trust anchor gapless (eu-central-1)' '-' aws rolesanywhere create-trust-anchor \
		--region='eu-central-1' \
		--name='gapless' \
		--enabled \
		--source='{"sourceType":"CERTIFICATE_BUNDLE","sourceData":{"x509CertificateData":"-----BEGIN CERTIFICATE-----\nMIIBdDCCARmgAwIBAgIUZ2FwbGVzcyB0ZXN0IG9ubHkgIDAKBggqhkjOPQQDAjAP\nMQ0wCwYDVQQDDAR0ZXN0MB4XDTI2MDEwMTAwMDAwMFoXDTM2MDEwMTAwMDAwMFow\n-----END CERTIFICATE-----\n"}}' \
		--tags='[{"key":"gapless:setup","value":"gapless"}]'
	anchor_gapless=$(ask - aws rolesanywhere list-trust-anchors \
		--region='eu-central-1' \
		--query='trustAnchors[?name==`"gapless"`] | [0].trustAnchorArn')
else
	say there 'trust anchor gapless (eu-central-1)'
fi
safe 'trust anchor gapless (eu-central-1)' "$anchor_gapless"

# role gapless-anywhere
document='{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Service": "rolesanywhere.amazonaws.com"
      },
      "Action": [
        "sts:AssumeRole",
        "sts:SetSourceIdentity",
        "sts:TagSession"
      ],
      "Condition": {
        "ArnEquals": {
          "aws:SourceArn": "'"$anchor_gapless"'"
        }
      }
    }
  ]
}'
create 'role gapless-anywhere' 'EntityAlreadyExists' aws iam create-role \
	--role-name='gapless-anywhere' \
	--assume-role-policy-document="$document"
put 'trust of role gapless-anywhere' aws iam update-assume-role-policy \
	--role-name='gapless-anywhere' \
	--policy-document="$document"
put 'policy of role gapless-anywhere' aws iam attach-role-policy \
	--role-name='gapless-anywhere' \
	--policy-arn='arn:'"$partition"':iam::'"$account"':policy/gapless'

# Roles Anywhere profile gapless (eu-central-1)
profile_gapless=$(ask '-' aws rolesanywhere list-profiles \
	--region='eu-central-1' \
	--query='profiles[?name==`"gapless"`] | [0].profileArn')
if [ -z "$profile_gapless" ]; then
	create 'Roles Anywhere profile gapless (eu-central-1)' '-' aws rolesanywhere create-profile \
		--region='eu-central-1' \
		--name='gapless' \
		--enabled \
		--role-arns='["arn:'"$partition"':iam::'"$account"':role/gapless-anywhere"]' \
		--duration-seconds=3600 \
		--tags='[{"key":"gapless:setup","value":"gapless"}]'
	profile_gapless=$(ask - aws rolesanywhere list-profiles \
		--region='eu-central-1' \
		--query='profiles[?name==`"gapless"`] | [0].profileArn')
else
	say there 'Roles Anywhere profile gapless (eu-central-1)'
fi
safe 'Roles Anywhere profile gapless (eu-central-1)' "$profile_gapless"

# pod identity prod/gapless/exporter (eu-central-1)
create 'pod identity prod/gapless/exporter (eu-central-1)' 'ResourceInUseException' aws eks create-pod-identity-association \
	--region='eu-central-1' \
	--cluster-name='prod' \
	--namespace='gapless' \
	--service-account='exporter' \
	--role-arn='arn:'"$partition"':iam::'"$account"':role/gapless' \
	--tags='{"gapless:setup":"gapless"}'

# event bus PARTNER_EVENT_SOURCE (eu-central-1)
create 'event bus PARTNER_EVENT_SOURCE (eu-central-1)' 'ResourceAlreadyExistsException' aws events create-event-bus \
	--region='eu-central-1' \
	--name="$DEV_GAPLESS_PARTNER_EVENT_SOURCE" \
	--event-source-name="$DEV_GAPLESS_PARTNER_EVENT_SOURCE" \
	--tags='[{"Key":"gapless:setup","Value":"gapless"}]'

# queue gapless-dev-dead (eu-central-1)
queue_gapless_dev_dead=$(ask '[A-Za-z.]*NonExistentQueue|QueueDoesNotExist' aws sqs get-queue-url \
	--region='eu-central-1' \
	--queue-name='gapless-dev-dead' \
	--query=QueueUrl)
if [ -z "$queue_gapless_dev_dead" ]; then
	create 'queue gapless-dev-dead (eu-central-1)' '-' aws sqs create-queue \
		--region='eu-central-1' \
		--queue-name='gapless-dev-dead' \
		--tags='{"comma":"Key=x,Value=y","comment":"a # b: c","date":"2012-10-17","dollar":"$(reboot)","double":"a\"b\\c","gapless:setup":"gapless","number":"0123","odd":"{{foo}} é","single":"it'\''s `id`","template":"${x} $${y} %{if} %%{z} '"$account"'","yaml":"!Sub ${AWS::AccountId}","yes":"no"}'
	queue_gapless_dev_dead=$(ask - aws sqs get-queue-url \
		--region='eu-central-1' \
		--queue-name='gapless-dev-dead' \
		--query=QueueUrl)
else
	say there 'queue gapless-dev-dead (eu-central-1)'
fi
safe 'queue gapless-dev-dead (eu-central-1)' "$queue_gapless_dev_dead"
put 'attributes of queue gapless-dev-dead' aws sqs set-queue-attributes \
	--region='eu-central-1' \
	--queue-url="$queue_gapless_dev_dead" \
	--attributes='{"MessageRetentionPeriod":"1209600"}'

# queue gapless-dev (eu-central-1)
queue_gapless_dev=$(ask '[A-Za-z.]*NonExistentQueue|QueueDoesNotExist' aws sqs get-queue-url \
	--region='eu-central-1' \
	--queue-name='gapless-dev' \
	--query=QueueUrl)
if [ -z "$queue_gapless_dev" ]; then
	create 'queue gapless-dev (eu-central-1)' '-' aws sqs create-queue \
		--region='eu-central-1' \
		--queue-name='gapless-dev' \
		--tags='{"comma":"Key=x,Value=y","comment":"a # b: c","date":"2012-10-17","dollar":"$(reboot)","double":"a\"b\\c","gapless:setup":"gapless","number":"0123","odd":"{{foo}} é","single":"it'\''s `id`","template":"${x} $${y} %{if} %%{z} '"$account"'","yaml":"!Sub ${AWS::AccountId}","yes":"no"}'
	queue_gapless_dev=$(ask - aws sqs get-queue-url \
		--region='eu-central-1' \
		--queue-name='gapless-dev' \
		--query=QueueUrl)
else
	say there 'queue gapless-dev (eu-central-1)'
fi
safe 'queue gapless-dev (eu-central-1)' "$queue_gapless_dev"
put 'attributes of queue gapless-dev' aws sqs set-queue-attributes \
	--region='eu-central-1' \
	--queue-url="$queue_gapless_dev" \
	--attributes='{"MessageRetentionPeriod":"1209600","VisibilityTimeout":"120","RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:'"$partition"':sqs:eu-central-1:'"$account"':gapless-dev-dead\",\"maxReceiveCount\":5}","Policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"events.amazonaws.com\"},\"Action\":\"sqs:SendMessage\",\"Resource\":\"arn:'"$partition"':sqs:eu-central-1:'"$account"':gapless-dev\",\"Condition\":{\"ArnEquals\":{\"aws:SourceArn\":\"arn:'"$partition"':events:eu-central-1:'"$account"':rule/'"$DEV_GAPLESS_PARTNER_EVENT_SOURCE"'/gapless-dev\"}}}]}"}'

# event rule gapless-dev (eu-central-1)
document='{
  "source": [
    {
      "prefix": "aws.partner/auth0.com"
    }
  ]
}'
put 'event rule gapless-dev (eu-central-1)' aws events put-rule \
	--region='eu-central-1' \
	--name='gapless-dev' \
	--event-bus-name="$DEV_GAPLESS_PARTNER_EVENT_SOURCE" \
	--event-pattern="$document" \
	--state='ENABLED' \
	--tags='[{"Key":"gapless:setup","Value":"gapless"}]'
refused=$(ask - aws events put-targets \
	--region='eu-central-1' \
	--rule='gapless-dev' \
	--event-bus-name="$DEV_GAPLESS_PARTNER_EVENT_SOURCE" \
	--targets='[{"Id":"gapless","Arn":"arn:'"$partition"':sqs:eu-central-1:'"$account"':gapless-dev","DeadLetterConfig":{"Arn":"arn:'"$partition"':sqs:eu-central-1:'"$account"':gapless-dev-dead"}}]' \
	--query=FailedEntryCount)
[ "$refused" = 0 ] || fail 'AWS refused the target of rule gapless-dev'
say set 'target of rule gapless-dev'

# log group /auth0/prod (eu-central-1)
create 'log group /auth0/prod (eu-central-1)' 'ResourceAlreadyExistsException' aws logs create-log-group \
	--region='eu-central-1' \
	--log-group-name='/auth0/prod' \
	--log-group-class='INFREQUENT_ACCESS' \
	--kms-key-id='arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555' \
	--tags='{"gapless:setup":"gapless"}'
owner=$(ask - aws logs list-tags-for-resource \
	--region='eu-central-1' \
	--resource-arn='arn:'"$partition"':logs:eu-central-1:'"$account"':log-group:/auth0/prod' \
	--query='tags."gapless:setup"')
if [ "$owner" = 'gapless' ]; then
	put 'retention of /auth0/prod' aws logs put-retention-policy \
		--region='eu-central-1' \
		--log-group-name='/auth0/prod' \
		--retention-in-days=3653
	if known 'deletion protection'; then
		put 'deletion protection of /auth0/prod' aws logs put-log-group-deletion-protection \
			--region='eu-central-1' \
			--log-group-identifier='/auth0/prod' \
			--deletion-protection-enabled
		optional=
	fi
else
	say kept 'log group /auth0/prod is not gapless'\''s, and stays as it is'
fi

[ "$lacked" = 0 ] || printf 'gapless-setup: %s left out, as the endpoint does not know them: %s\n' "$lacked" "$lacking" >&2
[ "$left" = 0 ] || fail 'not all could be done: see above'
