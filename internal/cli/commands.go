package cli

import "github.com/spf13/cobra"

// The groups under which the help lists the commands.
const (
	groupExport = "export"
	groupRead   = "read"
	groupRules  = "rules"
	groupOther  = "other"
)

// groups returns the groups, in the order of the help.
func groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: groupExport, Title: "Export:"},
		{ID: groupRead, Title: "Reading what was exported:"},
		{ID: groupRules, Title: "Rules:"},
		{ID: groupOther, Title: "Help and settings:"},
	}
}

// commands returns all commands of the program. A new one is added here.
func commands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		newDemoCommand(env),
		newInitCommand(env),
		newSetupCommand(env),
		newRunCommand(env),
		newEmulateCommand(env),
		newStatusCommand(env),
		newHealthCommand(env),
		newNotifyCommand(env),
		newDoctorCommand(env),
		newTailCommand(env),
		newQueryCommand(env),
		newImportCommand(env),
		newVerifyCommand(env),
		newBackfillCommand(env),
		newLedgerCommand(env),
		newCursorCommand(env),
		newDestinationCommand(env),
		newDeadLetterCommand(env),
		newFilterCommand(env),
		newRedactCommand(env),
		newSampleCommand(env),
		newConfigCommand(env),
		newDashboardCommand(env),
		newVersionCommand(env),
		newCompletionCommand(env),
		newDocsCommand(env),
	}
}
