"""Runs commands of the AWS CLI, each in a fork of a process that has loaded it.

Loading takes the AWS CLI a second, and a script has many commands. A line of the pipe
that is the argument names a directory with the file args, NUL after each; standard
output, standard error and the exit code go to out, err and the pipe code there.
"""
import os
import sys

import awscli.clidriver

awscli.clidriver.create_clidriver()
while True:
    with open(sys.argv[1]) as calls:
        directories = calls.read().split()
    for directory in directories:
        child = os.fork()
        if child == 0:
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT), number)
            with open(os.path.join(directory, "args")) as f:
                sys.argv = ["aws"] + f.read().split("\0")[:-1]
            try:
                code = awscli.clidriver.main()
            except SystemExit as e:
                code = e.code
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code or 0)
        _, status = os.waitpid(child, 0)
        with open(os.path.join(directory, "code"), "w") as f:
            f.write("%d\n" % os.waitstatus_to_exitcode(status))
