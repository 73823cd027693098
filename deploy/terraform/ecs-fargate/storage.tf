# The data directory: buffer and cursors, which must outlive the task.

resource "aws_efs_file_system" "data" {
  encrypted       = true
  kms_key_id      = var.kms_key_arn != "" ? var.kms_key_arn : null
  throughput_mode = "elastic"
  tags            = merge(local.tags, { Name = var.name })
}

resource "aws_efs_mount_target" "data" {
  count = length(var.subnet_ids)

  file_system_id  = aws_efs_file_system.data.id
  subnet_id       = var.subnet_ids[count.index]
  security_groups = [aws_security_group.data.id]
}

# Whoever comes through it is the account in the image, and sees this directory alone.
resource "aws_efs_access_point" "data" {
  file_system_id = aws_efs_file_system.data.id
  tags           = merge(local.tags, { Name = var.name })

  posix_user {
    uid = local.uid
    gid = local.uid
  }

  root_directory {
    path = "/gapless"

    creation_info {
      owner_uid   = local.uid
      owner_gid   = local.uid
      permissions = "0700"
    }
  }
}

# With a policy there is no anonymous client; the task's own policy lets it in.
resource "aws_efs_file_system_policy" "data" {
  file_system_id = aws_efs_file_system.data.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for sid, condition in {
      WithoutTLS         = { Bool = { "aws:SecureTransport" = "false" } }
      WithoutAccessPoint = { Null = { "elasticfilesystem:AccessPointArn" = "true" } }
      } : {
      Sid       = sid
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"]
      Resource  = aws_efs_file_system.data.arn
      Condition = condition
    }]
  })
}
