// Package export writes a stack down for the tools of others: Terraform,
// CloudFormation, the AWS CLI, and plain documents of IAM.
//
// Every renderer switches over the types of package stack, and either writes a
// resource or says in a comment why not. What a stack holds is taken for hostile: names
// and tags are data in every format, whatever characters they have.
package export
