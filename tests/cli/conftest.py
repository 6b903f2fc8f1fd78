"""Commands are tested alone and beside a server that has the folder open."""

import pytest

from tests.served import run_command


@pytest.fixture(params=["alone", "beside a server"])
def command(request, tmp_path, serve):
    """`command("users", "list")`: run it, expecting success; returns what it printed.

    `command.data` is the data folder.
    """
    data = tmp_path / "data"
    if request.param != "alone":
        serve(data=data)

    def run(*arguments, stdin="", code=0):
        ran = run_command(data, *arguments, stdin=stdin)
        assert ran.returncode == code, ran.stderr
        return ran.stderr if code else ran.stdout

    run.data = data
    return run
