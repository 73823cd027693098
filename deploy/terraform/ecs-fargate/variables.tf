variable "name" {
  description = "Name of the service and of everything that goes with it."
  type        = string
  default     = "gapless"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "name must be at most 31 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "image" {
  description = "Image of gapless in a registry of yours; deploy/docker/Dockerfile builds it. A digest (repository@sha256:...) or a tag that is never moved."
  type        = string

  validation {
    condition     = can(regex("^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?(:[^\\s:@]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must end in a tag or a digest, and not in :latest, so that a restart runs what was deployed."
  }
}

variable "ecr_repository_arn" {
  description = "ARN of the ECR repository that holds the image, so that the task may pull it. Empty for a registry that asks for no credentials."
  type        = string
  default     = ""

  validation {
    condition     = var.ecr_repository_arn == "" || can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/.+$", var.ecr_repository_arn))
    error_message = "ecr_repository_arn must be the ARN of an ECR repository."
  }
}

variable "tenants" {
  description = <<-EOT
    The Auth0 tenants, which one process exports.
    client_secret_arn is the secret of AWS Secrets Manager with the client secret; client_secret_key the member of it, if it holds JSON.
    log_group is /auth0/NAME when it is empty; retention_days 0 keeps events for ever.
    start_from and auth0_retention are the keys of the same name in docs/config.md.
  EOT
  type = list(object({
    name              = string
    domain            = string
    client_id         = string
    client_secret_arn = string
    client_secret_key = optional(string, "")
    log_group         = optional(string, "")
    retention_days    = optional(number, 0)
    start_from        = optional(string, "earliest")
    auth0_retention   = optional(string, "24h")
  }))

  validation {
    condition     = length(var.tenants) > 0 && length(distinct(var.tenants[*].name)) == length(var.tenants)
    error_message = "tenants must hold at least one tenant, each with a name of its own."
  }
  validation {
    condition     = alltrue([for t in var.tenants : can(regex("^[a-z0-9._-]{1,64}$", t.name))])
    error_message = "The name of a tenant must be at most 64 lower-case letters, digits, '.', '_' and '-'."
  }
  validation {
    condition     = alltrue([for t in var.tenants : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$", t.client_secret_arn))])
    error_message = "client_secret_arn must be the ARN of a secret of AWS Secrets Manager, and never the secret."
  }
}

variable "create_log_groups" {
  description = "Make the log groups of the tenants. They are left behind when the module is destroyed. With false they must be there."
  type        = bool
  default     = true
}

variable "environment" {
  description = "Further settings as variables of the environment; docs/config.md has the name of each, such as GAPLESS_TENANTS_0_FILTER_TYPES_DENY. No secrets: whoever may read the task definition can read them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, _ in var.environment : !contains(["GAPLESS_DATA_DIR", "GAPLESS_LISTEN", "STATE_DIRECTORY"], name)])
    error_message = "The module itself sets where the data and the health checks are."
  }
}

variable "vpc_id" {
  description = "VPC of the subnets."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets for the task and for the mount targets of its file system, at most one in each availability zone, with a way to Auth0 and to AWS: a NAT gateway, or public subnets and assign_public_ip."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids must name a subnet."
  }
}

variable "assign_public_ip" {
  description = "Give the task a public address; needed in public subnets. Nothing can reach it: the security group has no ingress."
  type        = bool
  default     = false
}

variable "cluster_arn" {
  description = "ECS cluster to run in. Empty makes one."
  type        = string
  default     = ""
}

variable "cpu" {
  description = "CPU units of the task: 256 is a quarter of a core, which carries some hundred events a second."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024, 2048], var.cpu)
    error_message = "cpu must be 256, 512, 1024 or 2048."
  }
}

variable "memory" {
  description = "Memory of the task in MiB."
  type        = number
  default     = 512

  validation {
    condition     = var.memory >= 512 && var.memory <= 16384
    error_message = "memory must be from 512 to 16384, and one that Fargate offers with cpu."
  }
}

variable "cpu_architecture" {
  description = "Processor that the image was built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "kms_key_arn" {
  description = "KMS key for the file system and the log groups; its policy must allow CloudWatch Logs to use it. Empty takes keys of AWS."
  type        = string
  default     = ""
}

variable "secrets_kms_key_arn" {
  description = "KMS key that the secrets are encrypted with, if it is one of your own."
  type        = string
  default     = ""
}

variable "own_log_retention_days" {
  description = "For how long what gapless writes about itself is kept, in days."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
