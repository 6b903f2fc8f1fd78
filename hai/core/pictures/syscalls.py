"""The system calls that decoders need, as numbers of the machines that Hai runs on.

The C library of one machine uses other calls than another's; what a machine does not
have is None. Numbers never change once they are given.
"""

import platform
import struct
from typing import NamedTuple

# Of what a process is made that computes, and answers through its pipe.
COMPUTING = {  # x86_64, aarch64, arm
    "brk": (12, 214, 45),
    "clock_gettime": (228, 113, 263),
    "clock_gettime64": (None, None, 403),
    "clock_nanosleep": (230, 115, 265),
    "clock_nanosleep_time64": (None, None, 407),
    "close": (3, 57, 6),
    "exit": (60, 93, 1),
    "exit_group": (231, 94, 248),
    "fstat": (5, 80, 108),
    "fstat64": (None, None, 197),
    "futex": (202, 98, 240),
    "futex_time64": (None, None, 422),
    "getpid": (39, 172, 20),
    "getrandom": (318, 278, 384),
    "getrlimit": (97, 163, None),
    "getrusage": (98, 165, 77),
    "gettid": (186, 178, 224),
    "gettimeofday": (96, 169, 78),
    "lseek": (8, 62, 19),
    "_llseek": (None, None, 140),
    "madvise": (28, 233, 220),
    "mmap": (9, 222, None),
    "mmap2": (None, None, 192),
    "mprotect": (10, 226, 125),
    "mremap": (25, 216, 163),
    "munmap": (11, 215, 91),
    "nanosleep": (35, 101, 162),
    "read": (0, 63, 3),
    "readv": (19, 65, 145),
    "restart_syscall": (219, 128, 0),
    "rseq": (334, 293, 398),
    "rt_sigaction": (13, 134, 174),
    "rt_sigprocmask": (14, 135, 175),
    "rt_sigreturn": (15, 139, 173),
    "sched_yield": (24, 124, 158),
    "set_robust_list": (273, 99, 338),
    "sigaltstack": (131, 132, 186),
    "sysinfo": (99, 179, 116),
    "ugetrlimit": (None, None, 191),
    "write": (1, 64, 4),
    "writev": (20, 66, 146),
}
# What it takes besides to begin another program, with its libraries and threads.
BEGINNING = {
    "access": (21, None, 33),
    "arch_prctl": (158, None, None),
    "cacheflush": (None, None, 983042),
    "dup": (32, 23, 41),
    "execve": (59, 221, 11),
    "faccessat": (269, 48, 334),
    "faccessat2": (439, 439, 439),
    "fstatat64": (None, None, 327),
    "getcwd": (79, 17, 183),
    "getdents64": (217, 61, 217),
    "getegid": (108, 177, 50),
    "getegid32": (None, None, 202),
    "geteuid": (107, 175, 49),
    "geteuid32": (None, None, 201),
    "getgid": (104, 176, 47),
    "getgid32": (None, None, 200),
    "getppid": (110, 173, 64),
    "getuid": (102, 174, 24),
    "getuid32": (None, None, 199),
    "lstat": (6, None, 107),
    "lstat64": (None, None, 196),
    "newfstatat": (262, 79, None),
    "open": (2, None, 5),
    "openat": (257, 56, 322),
    "poll": (7, None, 168),
    "ppoll": (271, 73, 336),
    "pread64": (17, 67, 180),
    "readlink": (89, None, 85),
    "readlinkat": (267, 78, 332),
    "sched_getaffinity": (204, 123, 242),
    "set_tid_address": (218, 96, 256),
    "set_tls": (None, None, 983045),
    "stat": (4, None, 106),
    "stat64": (None, None, 195),
    "statx": (332, 291, 397),
    "uname": (63, 160, 122),
}
CLONE = (56, 220, 120)
CLONE3 = (435, 435, 435)
PRLIMIT64 = (302, 261, 369)
PRCTL = (157, 167, 172)


class Machine(NamedTuple):
    """audit: how the kernel names it in a filter. column: its place in the tables."""

    audit: int
    column: int


MACHINES = {  # by `uname -m` and the bytes of a pointer
    ("x86_64", 8): Machine(0xC000003E, 0),
    ("aarch64", 8): Machine(0xC00000B7, 1),
    ("aarch64", 4): Machine(0x40000028, 2),  # 32-bit programs on a 64-bit kernel
    ("armv8l", 4): Machine(0x40000028, 2),
    ("armv7l", 4): Machine(0x40000028, 2),
    ("armv6l", 4): Machine(0x40000028, 2),
}


def this_machine() -> Machine | None:
    """None: its numbers are not known here."""
    return MACHINES.get((platform.machine(), struct.calcsize("P")))
