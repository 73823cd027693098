# Made by gapless 1.2.3: gapless setup export --format terraform
#
#   terraform init && terraform plan && terraform apply
#
# The blocks lifecycle refuse a plan that takes away a log group or stream, which hold the log;
# skip_destroy leaves a group where it is even when its block is deleted. What is there already
# is taken over with terraform import.
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

terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25, < 7"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  tags = {
    comma           = "Key=x,Value=y"
    comment         = "a # b: c"
    date            = "2012-10-17"
    dollar          = "$(reboot)"
    double          = "a\"b\\c"
    "gapless:setup" = "gapless"
    number          = "0123"
    odd             = "{{foo}} é"
    single          = "it's `id`"
    template        = "$${x} $$${y} %%{if} %%%{z} ${data.aws_caller_identity.current.account_id}"
    yaml            = "!Sub $${AWS::AccountId}"
    yes             = "no"
  }
}

variable "logs_insights" {
  type        = bool
  description = "Make field indexes and saved queries. Endpoints other than AWS's may not know them."
  default     = true
}

variable "dev_gapless_partner_event_source" {
  type        = string
  description = "partner event source of the Auth0 log stream dev/gapless"
}

resource "aws_cloudwatch_log_group" "auth0_dev" {
  name              = "/auth0/dev"
  retention_in_days = 365
  skip_destroy      = true
  tags              = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_cloudwatch_log_stream" "auth0_dev_logs" {
  name           = "logs"
  log_group_name = aws_cloudwatch_log_group.auth0_dev.name

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "auth0_dev2" {
  provider     = aws.us_east_1
  name         = "/auth0/dev"
  skip_destroy = true
  tags = {
    "gapless:setup" = "gapless"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_cloudwatch_log_stream" "auth0_dev_logs2" {
  provider       = aws.us_east_1
  name           = "logs"
  log_group_name = aws_cloudwatch_log_group.auth0_dev2.name

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_cloudwatch_log_metric_filter" "auth0_dev_gapless_dev_logins_failed" {
  name           = "gapless-dev-logins-failed"
  log_group_name = aws_cloudwatch_log_group.auth0_dev.name
  pattern        = "{ ($.type = \"f\") || ($.type = \"fp*\") }"

  metric_transformation {
    name          = "LoginsFailed"
    namespace     = "gapless/dev"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_log_metric_filter" "auth0_dev_gapless_dev_all" {
  name           = "gapless-dev-all"
  log_group_name = aws_cloudwatch_log_group.auth0_dev.name
  pattern        = ""

  metric_transformation {
    name          = "All"
    namespace     = "gapless/dev"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "gapless_dev_logins_failed" {
  alarm_name          = "gapless-dev-logins-failed"
  alarm_description   = "More than 100 \"failed\" logins in 5 minutes: it's $${odd}"
  namespace           = "gapless/dev"
  metric_name         = "LoginsFailed"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 100
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = ["arn:aws:sns:eu-central-1:123456789012:security"]
  ok_actions          = ["arn:aws:sns:eu-central-1:123456789012:security"]
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_cloudwatch_dashboard" "gapless_dev" {
  dashboard_name = "gapless-dev"
  dashboard_body = jsonencode({
    widgets = [
      {
        height = 3
        properties = {
          markdown = "# Auth0 'dev'\n$${x} in ${data.aws_caller_identity.current.account_id}"
        }
        type  = "text"
        width = 12
        x     = 0
        y     = 0
      },
      {
        height = 6
        properties = {
          metrics = [[
            "gapless/dev",
            "LoginsFailed",
          ]]
          period = 300
          region = "eu-central-1"
          stat   = "Sum"
          view   = "timeSeries"
        }
        type  = "metric"
        width = 12
        x     = 0
        y     = 3
      },
    ]
  })
}

resource "aws_cloudwatch_log_index_policy" "auth0_dev" {
  count          = var.logs_insights ? 1 : 0
  log_group_name = aws_cloudwatch_log_group.auth0_dev.name
  policy_document = jsonencode({
    Fields = [
      "type",
      "user_id",
    ]
  })
}

resource "aws_cloudwatch_query_definition" "gapless_dev_failed_logins_by_user" {
  count           = var.logs_insights ? 1 : 0
  name            = "gapless/dev/Failed logins by user"
  log_group_names = [aws_cloudwatch_log_group.auth0_dev.name]
  query_string = chomp(<<-EOT
    fields @timestamp, user_name
    | filter type in ["f", "fp"] and ip like /10\.0/
    | stats count(*) as n by user_name
    | sort n desc
    EOT
  )
}

resource "aws_cloudwatch_query_definition" "gapless_dev_it_s_odd_x" {
  provider     = aws.us_east_1
  count        = var.logs_insights ? 1 : 0
  name         = "gapless/dev/It's \"odd\" `$${x}`"
  query_string = "fields @message # '$(reboot)' $${x} %%{y}"
}

resource "aws_iam_policy" "gapless" {
  name        = "gapless"
  description = "What gapless needs"
  tags        = local.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Send"
        Effect = "Allow"
        Action = [
          "logs:PutLogEvents",
          "logs:DescribeLogStreams",
        ]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:eu-central-1:${data.aws_caller_identity.current.account_id}:log-group:/auth0/dev:*",
          "arn:${data.aws_partition.current.partition}:logs:us-east-1:${data.aws_caller_identity.current.account_id}:log-group:/auth0/dev:*",
        ]
      },
      {
        Effect   = "Allow"
        Action   = "sqs:ReceiveMessage"
        Resource = aws_sqs_queue.gapless_dev.arn
        Condition = {
          StringLike = {
            "aws:PrincipalTag/x" = "$${aws:username}"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role" "gapless" {
  name        = "gapless"
  description = "Runs gapless"
  tags        = local.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Principal = {
        Service = "ecs-tasks.amazonaws.com"
      }
      Action = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "gapless" {
  role       = aws_iam_role.gapless.name
  policy_arn = aws_iam_policy.gapless.arn
}

resource "aws_iam_role_policy_attachment" "gapless2" {
  role       = aws_iam_role.gapless.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_instance_profile" "gapless" {
  name = "gapless"
  role = aws_iam_role.gapless.name
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_iam_user" "gapless" {
  name = "gapless"
  tags = local.tags
}

resource "aws_iam_user_policy_attachment" "gapless" {
  user       = aws_iam_user.gapless.name
  policy_arn = aws_iam_policy.gapless.arn
}

# The secret is in Terraform's state in plain text. It is read with:
#   terraform output -raw secret_access_key
resource "aws_iam_access_key" "gapless" {
  user = aws_iam_user.gapless.name
}

# An account has one provider for each issuer, which others may use too. When yours has this one,
# compare client_id_list, and:
#   terraform import aws_iam_openid_connect_provider.token_actions_githubusercontent_com ARN
resource "aws_iam_openid_connect_provider" "token_actions_githubusercontent_com" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_iam_role" "gapless_github" {
  name = "gapless-github"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Principal = {
        Federated = aws_iam_openid_connect_provider.token_actions_githubusercontent_com.arn
      }
      Action = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringLike = {
          "token.actions.githubusercontent.com:sub" = "repo:example/it's:*"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "gapless_github" {
  role       = aws_iam_role.gapless_github.name
  policy_arn = aws_iam_policy.gapless.arn
}

resource "aws_rolesanywhere_trust_anchor" "gapless" {
  name    = "gapless"
  enabled = true

  source {
    source_type = "CERTIFICATE_BUNDLE"

    source_data {
      x509_certificate_data = <<-EOT
        -----BEGIN CERTIFICATE-----
        MIIBdDCCARmgAwIBAgIUZ2FwbGVzcyB0ZXN0IG9ubHkgIDAKBggqhkjOPQQDAjAP
        MQ0wCwYDVQQDDAR0ZXN0MB4XDTI2MDEwMTAwMDAwMFoXDTM2MDEwMTAwMDAwMFow
        -----END CERTIFICATE-----
        EOT
    }
  }

  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_iam_role" "gapless_anywhere" {
  name = "gapless-anywhere"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Principal = {
        Service = "rolesanywhere.amazonaws.com"
      }
      Action = [
        "sts:AssumeRole",
        "sts:SetSourceIdentity",
        "sts:TagSession",
      ]
      Condition = {
        ArnEquals = {
          "aws:SourceArn" = aws_rolesanywhere_trust_anchor.gapless.arn
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "gapless_anywhere" {
  role       = aws_iam_role.gapless_anywhere.name
  policy_arn = aws_iam_policy.gapless.arn
}

resource "aws_rolesanywhere_profile" "gapless" {
  name             = "gapless"
  enabled          = true
  role_arns        = [aws_iam_role.gapless_anywhere.arn]
  duration_seconds = 3600
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_eks_pod_identity_association" "prod_gapless_exporter" {
  cluster_name    = "prod"
  namespace       = "gapless"
  service_account = "exporter"
  role_arn        = aws_iam_role.gapless.arn
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_cloudwatch_event_bus" "auth0_log_stream_dev_gapless_partner_event_source" {
  name              = var.dev_gapless_partner_event_source
  event_source_name = var.dev_gapless_partner_event_source
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_sqs_queue" "gapless_dev_dead" {
  name                      = "gapless-dev-dead"
  message_retention_seconds = 1209600
  tags                      = local.tags
}

resource "aws_sqs_queue" "gapless_dev" {
  name                       = "gapless-dev"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 120
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.gapless_dev_dead.arn
    maxReceiveCount     = 5
  })
  tags = local.tags
}

resource "aws_sqs_queue_policy" "gapless_dev" {
  queue_url = aws_sqs_queue.gapless_dev.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Principal = {
        Service = "events.amazonaws.com"
      }
      Action   = "sqs:SendMessage"
      Resource = aws_sqs_queue.gapless_dev.arn
      Condition = {
        ArnEquals = {
          "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:events:eu-central-1:${data.aws_caller_identity.current.account_id}:rule/${var.dev_gapless_partner_event_source}/gapless-dev"
        }
      }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "gapless_dev" {
  name           = "gapless-dev"
  event_bus_name = aws_cloudwatch_event_bus.auth0_log_stream_dev_gapless_partner_event_source.name
  event_pattern = jsonencode({
    source = [{
      prefix = "aws.partner/auth0.com"
    }]
  })
  tags = {
    "gapless:setup" = "gapless"
  }
}

resource "aws_cloudwatch_event_target" "gapless_dev" {
  rule           = aws_cloudwatch_event_rule.gapless_dev.name
  event_bus_name = aws_cloudwatch_event_rule.gapless_dev.event_bus_name
  target_id      = "gapless"
  arn            = aws_sqs_queue.gapless_dev.arn

  dead_letter_config {
    arn = aws_sqs_queue.gapless_dev_dead.arn
  }
}

resource "aws_cloudwatch_log_group" "auth0_prod" {
  name                        = "/auth0/prod"
  retention_in_days           = 3653
  log_group_class             = "INFREQUENT_ACCESS"
  kms_key_id                  = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  deletion_protection_enabled = true
  skip_destroy                = true
  tags = {
    "gapless:setup" = "gapless"
  }

  lifecycle {
    prevent_destroy = true
  }
}

output "policy_arn" {
  description = "The policy that gapless needs"
  value       = aws_iam_policy.gapless.arn
}

output "role_arn" {
  description = "The role that gapless runs as"
  value       = aws_iam_role.gapless.arn
}

output "instance_profile" {
  description = "The instance profile for EC2"
  value       = aws_iam_instance_profile.gapless.name
}

output "access_key_id" {
  description = "The id of the access key"
  value       = aws_iam_access_key.gapless.id
}

output "secret_access_key" {
  description = "The secret of the access key"
  value       = aws_iam_access_key.gapless.secret
  sensitive   = true
}

output "role_arn2" {
  description = "The role that gapless runs as"
  value       = aws_iam_role.gapless_github.arn
}

output "trust_anchor_arn" {
  description = "The trust anchor of IAM Roles Anywhere, for aws_signing_helper"
  value       = aws_rolesanywhere_trust_anchor.gapless.arn
}

output "role_arn3" {
  description = "The role that gapless runs as"
  value       = aws_iam_role.gapless_anywhere.arn
}

output "profile_arn" {
  description = "The profile of IAM Roles Anywhere, for aws_signing_helper"
  value       = aws_rolesanywhere_profile.gapless.arn
}

output "queue_url_gapless_dev_dead" {
  description = "The URL of the queue gapless-dev-dead"
  value       = aws_sqs_queue.gapless_dev_dead.url
}

output "queue_url_gapless_dev" {
  description = "The URL of the queue gapless-dev"
  value       = aws_sqs_queue.gapless_dev.url
}
