output "cluster_arn" {
  description = "The cluster that the service runs in."
  value       = aws_ecs_service.this.cluster
}

output "service_name" {
  description = "Name of the service."
  value       = aws_ecs_service.this.name
}

output "task_definition_arn" {
  description = "The task definition in use, with its revision."
  value       = aws_ecs_task_definition.this.arn
}

output "task_role_arn" {
  description = "The role that gapless runs as, for the policies of further destinations or queues."
  value       = aws_iam_role.task.arn
}

output "security_group_id" {
  description = "The security group of the task."
  value       = aws_security_group.task.id
}

output "file_system_id" {
  description = "The EFS file system that holds the data directory."
  value       = aws_efs_file_system.data.id
}

output "log_groups" {
  description = "The log group of each tenant's events, by tenant."
  value       = { for t in local.tenants : t.name => t.log_group }
}

output "own_log_group" {
  description = "The log group of what gapless writes about itself."
  value       = aws_cloudwatch_log_group.own.name
}
