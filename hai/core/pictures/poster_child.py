"""Becomes ffmpeg, to show one frame: `python -m hai.core.pictures.poster_child ...`.

Decoding is where hostile videos strike, so before ffmpeg begins this process
gives up all but a little memory and time, and all but reading its program, its
libraries and one open file (confinement.py). It is told the format of that file,
and the frame goes to standard output as PNG.
"""

import os
import resource
import signal
import sys

from hai.core.pictures import confinement
from hai.core.pictures.thumbnails import NICENESS, SIDE_PX

MEMORY_BYTES = 1024 * 1024 * 1024  # of addresses: its libraries alone take 250 MiB
CPU_S = 20  # a frame of 4K takes 0.5 s, on a small board 5 s
FILES = 64
FORMATS = {"video/mp4": "mov", "video/webm": "matroska"}  # as ffmpeg calls them


def arguments(ffmpeg: str, type_: str, at_ms: int, file: int) -> list[str]:
    """Of the poster child itself, after its name."""
    return [ffmpeg, FORMATS[type_], f"{at_ms / 1000:.3f}", str(file)]


def command(ffmpeg: str, format_: str, at_s: str, file: str) -> list[str]:
    """One frame at a time in the video, upright, at most SIDE_PX large."""
    size = f"scale='min({SIDE_PX},iw)':'min({SIDE_PX},ih)'"
    return [
        *(ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "quiet", "-threads", "1"),
        *("-protocol_whitelist", "file", "-f", format_, "-ss", at_s),
        *("-i", f"file:/proc/self/fd/{file}", "-map", "0:v:0", "-frames:v", "1"),
        *("-vf", f"{size}:force_original_aspect_ratio=decrease"),
        *("-c:v", "png", "-f", "image2pipe", "pipe:1"),
    ]


def limit_process() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's, not ours
    os.nice(NICENESS)


def main() -> None:
    ffmpeg, format_, at_s, file = sys.argv[1:]
    limit_process()
    confinement.confine_program(ffmpeg, file=int(file))
    os.execv(ffmpeg, command(ffmpeg, format_, at_s, file))


if __name__ == "__main__":
    main()
