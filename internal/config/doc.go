// Package config reads, checks and explains the configuration of gapless.
//
// A value comes from one of four layers, of which the later wins:
//
//	defaults  ->  file (YAML)  ->  environment (GAPLESS_...)  ->  flags (--set, --listen, ...)
//
// The structs of this package are the one source of truth: the tags of their
// fields hold the name, the meaning, the default and the range of each value.
// The file reader, the names of the variables, the checks, the JSON Schema and
// docs/config.md are all derived from them by reflection, so none can disagree.
//
// Load reports everything that is wrong at once, each problem with the place it
// comes from and what to do about it. Secrets are of type Secret, which prints
// as asterisks in every format; no error and no excerpt of the file shows one.
//
// The package does not speak to Auth0 or CloudWatch Logs. It calls AWS only to
// look up a secret that the configuration refers to (see Resolver).
package config
