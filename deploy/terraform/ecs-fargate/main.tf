# gapless as one task of ECS on Fargate, with its data directory on EFS.
# docs/deploying.md says what that means for the guarantees.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id

  # The account in the image, in Terraform and in the file system.
  uid      = 65532
  data_dir = "/var/lib/gapless"

  tenants = [for t in var.tenants : merge(t, {
    log_group     = t.log_group != "" ? t.log_group : "/auth0/${t.name}"
    client_secret = "aws-secretsmanager:${t.client_secret_arn}${t.client_secret_key != "" ? "#${t.client_secret_key}" : ""}"
  })]

  # By position, as gapless names its variables.
  tenant_environment = merge([for i, t in local.tenants : {
    "GAPLESS_TENANTS_${i}_NAME"                 = t.name
    "GAPLESS_TENANTS_${i}_DOMAIN"               = t.domain
    "GAPLESS_TENANTS_${i}_CLIENT_ID"            = t.client_id
    "GAPLESS_TENANTS_${i}_CLIENT_SECRET"        = t.client_secret
    "GAPLESS_TENANTS_${i}_CLOUDWATCH_LOG_GROUP" = t.log_group
    "GAPLESS_TENANTS_${i}_START_FROM"           = t.start_from
    "GAPLESS_TENANTS_${i}_AUTH0_RETENTION"      = t.auth0_retention
  }]...)

  environment = merge(var.environment, local.tenant_environment, {
    GAPLESS_AWS_REGION = local.region
    STATE_DIRECTORY    = local.data_dir
  })

  tags = merge({ Application = "gapless" }, var.tags)
}

# Where the events go. skip_destroy: a log is not deleted because its exporter is.
resource "aws_cloudwatch_log_group" "events" {
  for_each = var.create_log_groups ? { for t in local.tenants : t.log_group => t.retention_days... } : {}

  name              = each.key
  retention_in_days = each.value[0]
  kms_key_id        = var.kms_key_arn != "" ? var.kms_key_arn : null
  skip_destroy      = true
  tags              = local.tags
}

# What gapless writes about itself.
resource "aws_cloudwatch_log_group" "own" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.own_log_retention_days
  kms_key_id        = var.kms_key_arn != "" ? var.kms_key_arn : null
  tags              = local.tags
}

resource "aws_ecs_cluster" "this" {
  count = var.cluster_arn == "" ? 1 : 0

  name = var.name
  tags = local.tags
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = local.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  volume {
    name = "data"

    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.data.id
      transit_encryption = "ENABLED"

      authorization_config {
        access_point_id = aws_efs_access_point.data.id
        iam             = "ENABLED"
      }
    }
  }

  container_definitions = jsonencode([{
    name                   = "gapless"
    image                  = var.image
    essential              = true
    command                = ["run"]
    user                   = "${local.uid}:${local.uid}"
    readonlyRootFilesystem = true
    stopTimeout            = 40 # above shutdown_timeout, which is 20 s
    environment            = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    mountPoints            = [{ sourceVolume = "data", containerPath = local.data_dir, readOnly = false }]
    linuxParameters        = { capabilities = { add = [], drop = ["ALL"] } }
    healthCheck = {
      command     = ["CMD", "/gapless", "health"]
      interval    = 30
      timeout     = 10
      retries     = 3
      startPeriod = 120
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.own.name
        awslogs-region        = local.region
        awslogs-stream-prefix = "gapless"
        mode                  = "non-blocking" # a line about itself must hold up no event
        max-buffer-size       = "4m"
      }
    }
  }])
}

# One task, and never two: a deployment stops the old one before it starts the new
# one, because the data directory belongs to one process at a time.
resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = var.cluster_arn != "" ? var.cluster_arn : aws_ecs_cluster.this[0].arn
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "FARGATE"
  desired_count                      = 1
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  availability_zone_rebalancing      = "DISABLED"
  propagate_tags                     = "SERVICE"
  tags                               = local.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.task.id]
    assign_public_ip = var.assign_public_ip
  }

  # It must not start before it can mount, read its secrets and write.
  depends_on = [
    aws_cloudwatch_log_group.events,
    aws_efs_mount_target.data,
    aws_iam_role_policy.task,
    aws_iam_role_policy.execution,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.nfs,
  ]
}
