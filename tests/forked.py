"""Hai's commands in processes of their own that need not load Hai first.

Python takes a third of a second of CPU to load Hai, and tests start it a thousand
times. So one process a worker has loaded it, and forks for each command: what runs is
`hai.cli.main`, with arguments, environment, folder and files of its own, to the end of
its interpreter. Who wants the very program, as a shell starts it, runs `run.py`.
"""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time

RELOADED = ("bench", "check")  # commands that load much which servers do not have
NEAR_S = 0.005  # between looks whether one has ended


# --- The process that forks ----------------------------------------------------------


def serve(control):
    """Fork for each request on the socket; only the children return, their argv."""
    from hai import cli  # here, so that a worker need not load it for this

    cli.build_parser([name for name in cli.COMMANDS if name not in RELOADED])
    gc.freeze()  # what no child collects is shared by all of them
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fileobj)
                    report_end(key.fileobj, *key.data)
                    continue
                request, handles, _, _ = socket.recv_fds(control, 1 << 20, 4)
                if not request:
                    raise SystemExit
                *streams, report = handles
                if not (pid := os.fork()):
                    os.close(report)
                    selector.close()
                    return become(control, json.loads(request), streams)
                for handle in streams:
                    os.close(handle)
                os.write(report, f"{pid}\n".encode())
                selector.register(
                    os.pidfd_open(pid), selectors.EVENT_READ, (pid, report)
                )


def report_end(handle, pid, report):
    _, status = os.waitpid(pid, 0)
    try:
        os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    except BrokenPipeError:
        pass  # nobody waits for it any more
    os.close(report)
    os.close(handle)


def become(control, request, streams):
    """Take over the streams, the environment and the folder; return the argv."""
    control.close()
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = request["argv"]
    return sys.argv[1:]


def end(code):
    """The end of an interpreter, but for freeing what the kernel frees faster."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


# --- Its callers ---------------------------------------------------------------------


class ForkServer:
    """Started when first asked; one a worker, as long as that runs."""

    def __init__(self):
        self.control = None
        self.starting = threading.Lock()

    def ask(self, request, handles):
        with self.starting:
            if not self.control:
                self.start()
            socket.send_fds(self.control, [json.dumps(request).encode()], handles)

    def start(self):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = os.path.dirname(os.path.dirname(__file__))
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            cwd=root,
            env={**os.environ, "PYTHONPATH": root},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self.stop)

    def stop(self):
        self.control.close()
        self.process.wait()


fork_server = ForkServer()


class Forked:
    """A process of Hai, as subprocess.Popen would give it; `stdout` if it is a pipe.

    stdin, stdout, stderr: files or descriptors; stdout may be subprocess.PIPE.
    """

    def __init__(self, argv, *, cwd, env, stdin, stdout, stderr):
        self.args = argv
        self.returncode = None
        self.stdout = None
        given = [stdin, stdout, stderr]
        if stdout == subprocess.PIPE:
            ours, given[1] = os.pipe()
            self.stdout = os.fdopen(ours)
        reader, writer = os.pipe()
        self.reports = os.fdopen(reader)
        handles = [one if isinstance(one, int) else one.fileno() for one in given]
        request = {"argv": [*map(str, argv)], "cwd": str(cwd), "env": env}
        fork_server.ask(request, [*handles, writer])
        os.close(writer)
        if self.stdout:
            os.close(given[1])
        self.pid = int(self.reports.readline())
        os.set_blocking(reader, False)

    def poll(self):
        """The exit code, or None while it runs."""
        if self.returncode is None and (line := self.reports.readline()):
            self.returncode = int(line)
            self.reports.close()
        return self.returncode

    def wait(self, timeout=None):
        until = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if until and time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(NEAR_S)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    arguments = serve(socket.socket(fileno=int(sys.argv[1])))
    from hai.cli import main

    end(main(arguments))
