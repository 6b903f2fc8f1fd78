"""`verify` as a command; what it finds is in tests/storage/sqlite/test_verify.py."""

import subprocess
import sys

from tests.served import ROOT, run_command


def test_it_works_beside_a_server(served):
    served.add_user("ada")
    assert "no problems" in served.run("verify")


def test_a_file_that_is_none_is_one_line(tmp_path):
    (tmp_path / "hai.db").write_bytes(b"ruined" * 1000)
    ran = run_command(tmp_path, "verify")
    assert ran.returncode == 1 and "not a database" in ran.stdout


def test_without_a_database_none_is_made(tmp_path):
    ran = run_command(tmp_path / "data", "verify")
    assert ran.returncode == 1 and "no " in ran.stderr
    assert not (tmp_path / "data" / "hai.db").exists()


PROGRAM = """
import sys
from hai import cli
from hai.storage.sqlite import verify

def interrupted(runner, check):
    raise InterruptedError

verify.PAUSES_S = ()
verify.CheckRunner._try = interrupted
sys.exit(cli.main())
"""


def test_what_could_not_be_checked_is_no_problem_and_not_nothing(tmp_path):
    """As when so much is written that the log would grow beyond its limit."""
    run_command(tmp_path, "users", "add", "ada")
    command = [sys.executable, "-c", PROGRAM, "verify", "--data", tmp_path]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 4, ran.stderr
    assert "no problems" in ran.stdout and ran.stdout.count("not looked at") == 3
