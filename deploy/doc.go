// Package deploy holds no code but tests: what is here for people is the unit of
// systemd, the Dockerfile, the Compose file, the Helm chart, the Terraform module and
// the CloudFormation template of docs/deploying.md, and each is put to use by a test.
package deploy
