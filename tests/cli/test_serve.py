"""Starting, stopping and what is printed; settings that are wrong."""

import contextlib
import os
import signal
import socket
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hai.cli.control import folder_lock
from tests.served import run_command


@pytest.mark.quick
def test_on_first_run_it_prints_the_address_and_a_link_to_set_up(served):
    assert f"{served.url}/setup?token=" in served.printed


def test_the_set_up_link_is_not_printed_once_there_is_an_owner(serve, tmp_path):
    run_command(tmp_path / "data", "users", "add", "ada", "--role", "owner")
    assert "setup" not in serve(data=tmp_path / "data").printed


def test_the_log_shows_settings_without_secrets_and_no_tokens(served):
    assert "max_text_chars" in served.log
    assert served.printed.split("token=")[1].split()[0] not in served.log


def test_a_proxy_without_a_public_url_is_a_warning(serve, tmp_path):
    flags = ("--trusted-proxies", "127.0.0.1")
    for more, is_warned in ((), True), (("--public-url", "https://hai.example"), False):
        server = serve(*flags, *more, data=tmp_path / f"data{len(more)}")
        warnings = [line for line in server.log.splitlines() if "WARNING" in line]
        assert any("public_url is not" in line for line in warnings) is is_warned


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to_and_leaves_no_socket(served, how):
    assert (served.data / "hai.sock").exists()
    assert served.stop(how) == 0
    assert not (served.data / "hai.sock").exists()
    assert "ERROR" not in served.log


def test_after_a_kill_it_starts_again_with_what_was_stored(serve, tmp_path):
    first = serve(data=tmp_path / "data")
    first.add_user("ada")
    first.stop(signal.SIGKILL)
    second = serve(data=tmp_path / "data")
    assert second.run("users", "list").startswith("ada")


def test_a_killed_server_s_socket_does_not_stop_commands(serve, tmp_path):
    serve(data=tmp_path / "data").stop(signal.SIGKILL)
    assert (tmp_path / "data" / "hai.sock").exists()
    assert run_command(tmp_path / "data", "users", "add", "ada").returncode == 0


def test_a_second_server_on_the_same_folder_is_refused(served):
    second = run_command(served.data, "--port", "0")
    assert second.returncode == 1
    assert str(served.data) in second.stderr


def test_a_command_that_is_at_work_is_waited_for(serve, tmp_path):
    """Such as a backup that began while no server ran."""
    data = tmp_path / "data"
    log = tmp_path / "data.log"
    with ThreadPoolExecutor() as threads, folder_lock(data):
        starting = threads.submit(serve, data=data)
        while not log.exists() or "waiting for another process" not in log.read_text():
            assert not starting.done(), starting.result()
            time.sleep(0.02)
    assert "ada" in starting.result().run("users", "add", "ada")


def test_the_data_folder_is_for_its_owner_only(served):
    for path in [served.data, *served.data.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_commands_reach_a_server_in_a_folder_with_a_very_long_name(serve, tmp_path):
    data = tmp_path / ("long" * 40)
    serve(data=data).add_user("ada")
    assert run_command(data, "users", "list").stdout.startswith("ada")


def test_a_port_in_use_is_said_plainly(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_command(tmp_path / "data", "--port", port)
    assert ran.returncode == 1
    assert "Hai cannot start" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_data_of_a_newer_version_is_said_plainly(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "hai.db")) as database:
        database.execute("PRAGMA user_version = 1000")
    for command in (["--port", "0"], ["users", "list"]):
        ran = run_command(tmp_path, *command)
        assert ran.returncode == 3
        assert "newer Hai" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_all_bad_settings_are_reported_at_once_with_exit_code_2(tmp_path):
    env = {"HAI_DURABILITY": "some"}
    ran = run_command(tmp_path, "serve", "--port", "x", "--sign-up", "y", env=env)
    assert ran.returncode == 2
    for name in ("--port", "--sign-up", "HAI_DURABILITY"):
        assert name in ran.stderr
    assert not (tmp_path / "hai.db").exists()


def test_any_command_refuses_bad_settings(tmp_path):
    assert run_command(tmp_path, "users", "list", "--port", "x").returncode == 2


def test_an_unknown_variable_is_a_warning(tmp_path):
    ran = run_command(tmp_path / "data", "users", "list", env={"HAI_PROT": "80"})
    assert ran.returncode == 0
    assert "HAI_PROT" in ran.stderr


def test_a_setting_in_the_environment_counts(serve):
    server = serve(env={"HAI_SIGN_UP": "closed"})
    assert "'sign_up': 'closed'" in server.log


def test_it_serves_on_uvloop_too(serve):
    assert serve("--loop", "uvloop").stop() == 0


def test_help_needs_no_data_folder():
    ran = run_command(os.devnull, "--help")
    assert ran.returncode == 0
    assert "commands:" in ran.stdout
