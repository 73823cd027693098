// Package cli is the command line of gapless: the commands, what they print for
// people and for programs, and the exit codes.
//
// Main runs one command. Everything that a command touches of its surroundings
// stands in Env, so that tests run the whole program in process.
//
// Each command is made by a constructor, newXCommand(env), in a file of its own,
// and is listed in commands.go; there are no package-level variables. A command
// reads its configuration with configFlags, logs with newLogger, prints JSON
// with writeJSON and returns errors made with usageError or fail, whose class
// and way out Main turns into two lines and an exit code:
//
//	Error: what failed, and why
//	Try: what to type next
package cli
