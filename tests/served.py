"""A Hai server in a process of its own, and Hai's commands run beside it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

from tests.forked import Forked

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / "run.py"
PROGRAM = [sys.executable, str(RUN)]


def run_command(data, *arguments, stdin="", env=None, timeout_s=300):
    """Run `run.py ARGUMENTS --data DATA` to its end; return the CompletedProcess."""
    command = [str(RUN), *map(str, arguments), "--data", str(data)]
    with TemporaryFile("w+") as given, TemporaryFile("w+") as out:
        with TemporaryFile("w+") as err:
            given.write(stdin)
            for file in (given, out, err):
                file.seek(0)
            process = Forked(
                command,
                cwd=ROOT,
                env=clean_environment(env),
                stdin=given,
                stdout=out,
                stderr=err,
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            printed = [file.seek(0) or file.read() for file in (out, err)]
    return subprocess.CompletedProcess(command, code, *printed)


def clean_environment(changes=None):
    """Return the environment without settings of Hai, and with the changes."""
    kept = {name: value for name, value in os.environ.items() if name[:4] != "HAI_"}
    return kept | (changes or {})


class Served:
    """`run.py --port 0`: started in `start`, its address read from what it prints."""

    def __init__(self, data, *flags, env=None):
        self.data = Path(data)
        self.flags = flags
        self.env = env
        self.program = PROGRAM
        self.wrapper = []  # a command that runs the program, such as strace
        self.process = None
        self.url = ""
        self.printed = ""  # standard output until the address line
        self.log_path = self.data.parent / f"{self.data.name}.log"

    def start(self):
        command = [*self.program, "--port", "0", "--data", str(self.data)]
        command += map(str, self.flags)
        with self.log_path.open("ab") as log, open(os.devnull) as nothing:
            files = {"stdin": nothing, "stdout": subprocess.PIPE, "stderr": log}
            about = {"cwd": ROOT, "env": clean_environment(self.env), **files}
            if self.program == PROGRAM and not self.wrapper:
                self.process = Forked(command[1:], **about)
            else:
                self.process = subprocess.Popen(
                    [*self.wrapper, *command], text=True, **about
                )
        self.read_address()
        return self

    def read_address(self):
        for line in self.process.stdout:
            self.printed += line
            if found := re.search(r"Hai is at (http\S+)", line):
                self.url = found[1]
                return
        raise AssertionError(f"the server did not start:\n{self.log}")

    @property
    def log(self):
        return self.log_path.read_text()

    def run(self, *arguments, stdin=""):
        """Run a command beside the server and return what it printed."""
        ran = run_command(self.data, *arguments, stdin=stdin)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def add_user(self, name, role="member", password=None):
        """Add a user by command and return a bearer token."""
        if password:
            flags = ("--role", role, "--password-stdin")
            self.run("users", "add", name, *flags, stdin=password + "\n")
        else:
            self.run("users", "add", name, "--role", role)
        return self.run("users", "token", name).strip()

    def stop(self, how=signal.SIGTERM):
        """End it and return its exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code
