"""The yardstick: a loop that does nothing but `send(2)` one frame to many sockets.

A process of its own: accepts as many connections as it is told, writes the frame to
each of them so many times a second, and prints the CPU time of one send. `read_all`
is the other end, for the process that has started it.
"""

import contextlib
import resource
import select
import socket
import sys
import time
from typing import IO

FRAME = b"x" * 350  # about a hai_sent with two lines of text


def main(sockets: int, rate: float, seconds: float) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.create_server(("127.0.0.1", 0), backlog=sockets)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    opened = [listener.accept()[0] for _ in range(sockets)]
    for sock in opened:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
    print(send_all(opened, rate, seconds), flush=True)


def send_all(opened: list[socket.socket], rate: float, seconds: float) -> float:
    """Microseconds of CPU per send."""
    rounds = int(rate * seconds)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for number in range(rounds):
        time.sleep(max(0.0, began_s + number / rate - time.perf_counter()))
        for sock in opened:
            sock.send(FRAME)
    return 1e6 * (time.process_time() - cpu_s) / (rounds * len(opened))


def read_all(port: int, sockets: int, stdout: IO[str]) -> float:
    """Take what is sent until the loop's figure comes; return that."""
    with select.epoll() as epoll, contextlib.ExitStack() as stack:
        opened = {}
        for _ in range(sockets):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            opened[sock.fileno()] = sock
            epoll.register(sock, select.EPOLLIN)
        epoll.register(stdout, select.EPOLLIN)
        received = bytearray(len(FRAME))
        while True:
            for fd, _ in epoll.poll():
                if fd not in opened:
                    return float(stdout.readline())
                opened[fd].recv_into(received)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
