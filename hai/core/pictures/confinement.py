"""What the processes that decode may do: compute, and answer through their pipe.

Two means of the kernel, which need no rights and cannot be given up again:

- Landlock: no file may be opened but those named (Linux 5.13).
- seccomp: of the system calls only those in syscalls.py, so no sockets, no further
  processes and no signals to others, whatever a decoder is talked into.

Where a kernel, or what Hai runs in, has no seccomp, a network of its own with nothing
in it takes at least that away. What is there must hold: a process that cannot be
confined by it ends. Limits of memory, time and files come on top (thumbnails.py,
poster_child.py).
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable, Mapping

from hai.core.pictures import syscalls
from hai.core.pictures.syscalls import Machine

# linux/prctl.h, linux/seccomp.h, linux/landlock.h, linux/sched.h
PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_SECCOMP = 38, 21, 22
SECCOMP_MODE_FILTER = 2
SECCOMP_ALLOW, SECCOMP_KILL, SECCOMP_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all machines
RULESET_VERSION, PATH_BENEATH = 1, 1
CLONE_THREAD = 0x00010000
NEW_USERS, NEW_NETWORK = 0x10000000, 0x40000000

FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # version -> how many are known
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
NET_RIGHTS = 0b11  # bind and connect of TCP (version 4)
SCOPES = 0b11  # abstract sockets, signals (version 6)
LIBRARIES = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
RULE = "=Qi"  # rights, a descriptor

# A step of a filter: load a word; jump if equal, or if bits are set; return.
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
STEP = struct.Struct("=HBBI")
NUMBER_AT, MACHINE_AT, ARGUMENT_AT = 0, 4, 16  # in what the kernel shows a filter
DENY = (RETURN, 0, 0, SECCOMP_ERRNO | errno.EPERM)
ALLOW = (RETURN, 0, 0, SECCOMP_ALLOW)

Step = tuple[int, int, int, int]

libc = ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """Of this kernel; 0: there is none, or we may not use it."""
    return max(0, int(libc.syscall(CREATE_RULESET, None, 0, RULESET_VERSION)))


def has_seccomp() -> bool:
    is_known = libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return is_known and syscalls.this_machine() is not None


def confine_decoder() -> None:
    """From now on this process opens nothing at all. Raises OSError."""
    _confine(files=(), tables=[syscalls.COMPUTING], has_threads=False)


def confine_program(program: str, *, file: int) -> None:
    """This process may become `program`, with its libraries, and read one open file.

    Raises OSError.
    """
    tables = [syscalls.COMPUTING, syscalls.BEGINNING]
    _confine(files=[*LIBRARIES, program, file], tables=tables, has_threads=True)


def _confine(
    *,
    files: Iterable[str | int],
    tables: Iterable[Mapping[str, tuple[int | None, ...]]],
    has_threads: bool,
) -> None:
    _must(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if version := landlock_version():
        _restrict_files(version, files)
    if not has_seccomp():
        leave_network()
        return
    machine = syscalls.this_machine()
    assert machine is not None
    numbers = [row[machine.column] for table in tables for row in table.values()]
    _filter_calls(make_filter(machine, numbers, has_threads=has_threads))


def leave_network() -> bool:
    """Into a network of its own with nothing in it. Some systems forbid that."""
    return any(
        libc.unshare(kind) == 0 for kind in (NEW_NETWORK, NEW_USERS | NEW_NETWORK)
    )


def _must(answer: int) -> int:
    if answer < 0:
        raise OSError(ctypes.get_errno(), "this process could not be confined")
    return answer


# --- Landlock -------------------------------------------------------------------------


def _restrict_files(version: int, files: Iterable[str | int]) -> None:
    """Everything that this version knows is denied, but reading and running `files`."""
    rights = (1 << FILE_RIGHTS.get(version, max(FILE_RIGHTS.values()))) - 1
    nets = NET_RIGHTS if version >= 4 else 0
    scopes = SCOPES if version >= 6 else 0
    denied = struct.pack("=QQQ", rights, nets, scopes)
    ruleset = _must(libc.syscall(CREATE_RULESET, denied, len(denied), 0))
    for file in files:
        _allow(ruleset, file)
    _must(libc.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _allow(ruleset: int, file: str | int) -> None:
    """A path and what is below it, or an open file, which may have no name."""
    if isinstance(file, str) and not os.path.exists(file):
        return
    place = os.open(file, os.O_PATH) if isinstance(file, str) else file
    rights = READ_FILE | EXECUTE | (READ_DIR if _is_folder(place) else 0)
    rule = struct.pack(RULE, rights, place)
    _must(libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0))
    if isinstance(file, str):
        os.close(place)


def _is_folder(place: int) -> bool:
    return stat.S_ISDIR(os.fstat(place).st_mode)


# --- seccomp --------------------------------------------------------------------------


def make_filter(
    machine: Machine, numbers: Iterable[int | None], *, has_threads: bool
) -> bytes:
    """The program that the kernel runs at each system call.

    Limits may be read and lowered for oneself only. Whoever may have threads gets
    threads and no processes; `clone3`, whose arguments a filter cannot see, is
    answered as by a kernel that does not have it, so that libraries use `clone`.
    """
    column = machine.column
    steps: list[Step] = [
        (LOAD, 0, 0, MACHINE_AT),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, SECCOMP_KILL),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    for number in numbers:
        if number is not None:
            steps += [(EQUAL, 0, 1, number), ALLOW]
    missing = (RETURN, 0, 0, SECCOMP_ERRNO | errno.ENOSYS)
    steps += [(EQUAL, 0, 1, syscalls.CLONE3[column]), missing]
    steps += _when(syscalls.PRLIMIT64[column], (EQUAL, 0, 1, 0))
    if has_threads:
        steps += _when(syscalls.CLONE[column], (ANY_BIT, 0, 1, CLONE_THREAD))
    steps.append(DENY)
    return b"".join(STEP.pack(*step) for step in steps)


def _when(number: int, test: Step) -> list[Step]:
    """Allow a call if its first argument passes."""
    return [(EQUAL, 0, 4, number), (LOAD, 0, 0, ARGUMENT_AT), test, ALLOW, DENY]


def _filter_calls(program: bytes) -> None:
    steps = ctypes.create_string_buffer(program, len(program))
    pointer = ctypes.addressof(steps)
    count = len(program) // STEP.size
    fprog = struct.pack("@HP", count, pointer)
    _must(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0))


# --- Whether it holds -----------------------------------------------------------------


def try_all() -> list[str]:
    """The names of what this process cannot do any more, now that it is confined."""
    tries: dict[str, Callable[[], object]] = {
        "files": lambda: os.open("/", os.O_RDONLY),
        "network": _reach_out,
        "processes": _begin_another,
    }
    return [name for name, attempt in tries.items() if _is_denied(attempt)]


def _is_denied(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _reach_out() -> None:
    """To itself: in a network with nothing in it even that leads nowhere."""
    family, kind = 2, 2  # AF_INET, SOCK_DGRAM: `socket` takes long to import
    handle = _must(libc.socket(family, kind, 0))
    here = struct.pack("=H", family) + struct.pack("!H4s8x", 9, bytes([127, 0, 0, 1]))
    _must(libc.connect(handle, here, len(here)))


def _begin_another() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    confine_decoder()
    print(*try_all())
