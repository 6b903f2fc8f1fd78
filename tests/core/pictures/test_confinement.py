"""A decoder that does what a hostile picture or film tells it to do, in its place."""

import asyncio
import json
import os
import socket
import struct
import sys

import pytest

from hai.core.pictures import confinement, decoders, syscalls
from hai.paths import ROOT
from tests.core.pictures.test_posters import poster_by, pretend

BEGIN = """
import sys
sys.path[:0] = {paths}
import ctypes, errno, json, os, resource, socket
from hai.core.pictures import confinement, thumbnails
thumbnails.load_pillow()
thumbnails.limit_process()
libc = ctypes.CDLL(None, use_errno=True)
outer, database, control, listener = int(sys.argv[1]), *sys.argv[2:]

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def connect(family, address):
    socket.socket(family, socket.SOCK_STREAM).connect(address)

confinement.confine_decoder()
"""

# What it tries -> how.
TRIES = {
    "read the database": "os.open(database, os.O_RDONLY)",
    "write a file": "os.open(database + '.new', os.O_CREAT | os.O_WRONLY)",
    "remove the database": "os.unlink(database)",
    "rename it": "os.rename(database, database + '.old')",
    "list a folder": "os.listdir('/')",
    "look at a file": "os.stat(database)",
    "read what the server may": "os.open(f'/proc/{outer}/environ', os.O_RDONLY)",
    "reach the control socket": "connect(socket.AF_UNIX, control)",
    "reach a port": "connect(socket.AF_INET, ('127.0.0.1', int(listener)))",
    "reach a name server": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "listen": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM).bind(('::1', 0))",
    "pass files on": "socket.socketpair()",
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/sh', ['sh', '-c', 'true'])",
    "have threads": "__import__('_thread').start_new_thread(print, ())",
    "end the server": "os.kill(outer, 0)",
    "end everything": "os.kill(-1, 0)",
    "take the server's files": "resource.prlimit(outer, resource.RLIMIT_AS, (9, 9))",
    "trace the server": "call('ptrace', 16, outer, 0, 0)",
    "read the server's memory": "call('process_vm_readv', outer, 0, 0, 0, 0, 0)",
    "have more limits": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "mount": "call('mount', b'none', b'/mnt', b'tmpfs', 0, 0)",
    "have a user space": "call('unshare', 0x10000000)",
    "hide in memory": "call('memfd_create', b'x', 0)",
    "wait for the ring": "call('syscall', 425, 8, 0)",
    "be root": "call('setuid', 0)",
}


async def run_hostile(tries, *arguments):
    """name -> what came of it: "done", or the error's name."""
    lines = ["said = {}"]
    for name, attempt in tries.items():
        lines += [
            "try:",
            f"    {attempt}",
            f"    said[{name!r}] = 'done'",
            "except (OSError, RuntimeError, MemoryError, ValueError) as error:",
            f"    said[{name!r}] = type(error).__name__",
        ]
    lines += ["print(json.dumps(said), flush=True)", "os._exit(0)"]
    source = BEGIN.format(paths=[str(ROOT), *sys.path]) + "\n".join(lines)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", source, str(os.getpid()), *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return json.loads(said)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


async def test_a_hostile_decoder_gets_nothing(core, listener):
    """Neither the database, nor the network, nor the server, nor a process."""
    control = core.config.data / "control.sock"
    with socket.socket(socket.AF_UNIX) as operator:
        operator.bind(str(control))
        operator.listen()
        port = listener.getsockname()[1]
        said = await run_hostile(TRIES, core.config.database_path, control, port)
    assert said.keys() == TRIES.keys()
    assert {name: what for name, what in said.items() if what == "done"} == {}


async def test_it_has_little_memory(core, listener):
    tries = {"much": "x = bytearray(2**30)", "little": "x = bytearray(2**20)"}
    said = await run_hostile(tries, core.config.database_path, "/nowhere", 0)
    assert said == {"much": "MemoryError", "little": "done"}


FILM = r"""
use strict;
use Socket;
my ($path) = grep { s/^file:// } @ARGV;
my @tries = (
    ["its film", sub { open(my $file, "<", $path) }],
    ["its film's bytes", sub { open(my $f, ">>", $path) }],
    ["the database", sub { open(my $file, "<", "DATABASE") }],
    ["passwords", sub { open(my $file, "<", "/etc/passwd") }],
    ["a folder", sub { opendir(my $folder, "/") }],
    ["a new file", sub { open(my $file, ">", "DATABASE.new") }],
    ["an end of the database", sub { unlink("DATABASE") }],
    ["a port", sub { socket(my $line, PF_INET, SOCK_STREAM, 0) }],
    ["a local socket", sub { socket(my $line, PF_UNIX, SOCK_STREAM, 0) }],
    ["a process", sub { my $id = fork(); exit if defined $id && !$id; defined $id }],
    ["the server", sub { kill 0, getppid() }],
);
$| = 1;
for (@tries) {
    print $_->[0], $_->[1]->() ? " yes" : " no", "\n";
}
"""


async def test_nor_does_a_hostile_film(core, cast, tmp_path):
    database = str(core.config.database_path)
    program = pretend(tmp_path, FILM.replace("DATABASE", database))
    said = (await poster_by(core, cast, program)).decode().splitlines()
    assert [line for line in said if line.endswith(" yes")] == ["its film yes"]
    assert len(said) == FILM.count("sub {")


def test_what_is_allowed_is_named_for_every_machine():
    """And the kernel would take each filter."""
    tables = [syscalls.COMPUTING, syscalls.BEGINNING]
    for machine in set(syscalls.MACHINES.values()):
        numbers = [row[machine.column] for table in tables for row in table.values()]
        known = [number for number in numbers if number is not None]
        assert len(known) == len(set(known)) > 50
        steps = confinement.make_filter(machine, numbers, has_threads=True)
        count = len(steps) // confinement.STEP.size
        assert struct.unpack("=HBBI", steps[-8:]) == confinement.DENY
        assert count < 4096  # the kernel's limit


async def test_the_operator_is_told(core, caplog, client):
    caplog.set_level("INFO")
    await decoders.report(core)
    assert "without access to files, network, processes" in caplog.text
    answer = await client().get("/healthz?deep")
    assert answer.json["denied_to_decoders"] == dict.fromkeys(decoders.DENIED, True)
    assert "denied_to_decoders" not in (await client().get("/healthz")).json


async def test_the_operator_is_told_what_is_not_denied(core, expect_log, monkeypatch):
    async def ask():
        return ["files"]

    monkeypatch.setattr(decoders, "_ask", ask)
    expect_log("pictures are decoded with access to: network, processes")
    await decoders.report(core)
