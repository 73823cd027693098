// Package setup makes what gapless needs before it can run. Its wizard asks for
// what a configuration cannot do without, checks each answer with the checks of
// package config, and writes a configuration file with comments from the same
// reference; it can take over the settings of the extension "Logs to CloudWatch"
// that Auth0 has retired.
//
// It reads and writes nothing but what it is handed, and calls nobody.
package setup
