"""Real web servers in front of the test's Hai, configured by the files in deploy/."""

import os
import re
import shutil
import signal
import socket as sockets
import subprocess
import time
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
START_S = 60

APACHE = """
ServerName localhost
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule reqtimeout_module {modules}/mod_reqtimeout.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
Listen 127.0.0.1:{port}
Define HAI_BACKEND 127.0.0.1:{backend}
<VirtualHost *:{port}>
    Include {deploy}/apache.conf
</VirtualHost>
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/hai.conf;
}}
"""

LIGHTTPD = """
server.document-root = "{folder}"
server.errorlog = "{folder}/error.log"
server.upload-dirs = ( "{folder}" )
server.port = {port}
server.bind = "127.0.0.1"
include "{folder}/hai.conf"
"""

HAPROXY = """
global
    log stderr format raw daemon warning
{sections}
"""


class Proxy:
    """A web server on a free port that passes everything on to `backend`."""

    asks_again_at_once = True  # a backend that was away

    def __init__(self, folder, backend):
        self.folder = folder
        self.backend = backend
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def fill(self, template):
        modules = "/usr/lib/apache2/modules"
        return template.format(deploy=DEPLOY, modules=modules, **vars(self))

    def start(self):
        command = self.command()
        with (self.folder / "printed.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START_S
        while not is_open(self.port):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.02)

    def stop(self):
        """End it; workers that would wait for their sockets to close, by force."""
        self.process.terminate()
        try:
            self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=START_S)

    def changed(self, name, *changes):
        """A file of deploy/ with what a newcomer changes in it, changed."""
        text = (DEPLOY / name).read_text()
        for pattern, new in changes:
            text, count = re.subn(pattern, new, text)
            assert count == 1, pattern
        return text

    @property
    def log(self):
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


class Apache(Proxy):
    def command(self):
        path = self.folder / "apache.conf"
        path.write_text(self.fill(APACHE))
        return [find("apache2"), "-D", "FOREGROUND", "-f", path]


class Nginx(Proxy):
    left_out = None  # a line of deploy/nginx.conf that somebody forgot

    def command(self):
        (self.folder / "hai.conf").write_text(self.adapted())
        path = self.folder / "nginx.conf"
        path.write_text(self.fill(NGINX))
        return [find("nginx"), "-c", path, "-e", self.folder / "error.log"]

    def adapted(self):
        return self.changed(
            "nginx.conf",
            (r"server 127\.0\.0\.1:8888", f"server 127.0.0.1:{self.backend}"),
            (r"\n    listen 80;", f"\n    listen 127.0.0.1:{self.port};"),
            (r"server_name hai\.example\.org", "server_name localhost"),
            *([(self.left_out, "")] if self.left_out else []),
        )


class Lighttpd(Proxy):
    asks_again_at_once = False  # but once a second

    def command(self):
        backend = (r'"port" => 8888', f'"port" => {self.backend}')
        (self.folder / "hai.conf").write_text(self.changed("lighttpd.conf", backend))
        path = self.folder / "lighttpd.conf"
        path.write_text(self.fill(LIGHTTPD))
        return [find("lighttpd"), "-D", "-f", path]


class HAProxy(Proxy):
    def command(self):
        sections = self.changed(
            "haproxy.cfg",
            (r"server hai 127\.0\.0\.1:8888", f"server hai 127.0.0.1:{self.backend}"),
            (r"\n    bind :80\n", f"\n    bind 127.0.0.1:{self.port}\n"),
        )
        path = self.folder / "haproxy.cfg"
        path.write_text(HAPROXY.format(sections=sections))
        return [find("haproxy"), "-db", "-f", path]


def find(program):
    return shutil.which(program) or f"/usr/sbin/{program}"


def optional(kind, program):
    """Only with --slow, and where it is installed: tests/run does not install it."""
    is_missing = not Path(find(program)).exists()
    missing = pytest.mark.skipif(is_missing, reason=f"{program} is not installed")
    return pytest.param(kind, id=program, marks=[pytest.mark.slow, missing])


SERVERS = [
    pytest.param(Apache, id="apache"),
    pytest.param(Nginx, id="nginx"),
    optional(Lighttpd, "lighttpd"),
    optional(HAProxy, "haproxy"),
]


@pytest.fixture(params=SERVERS)
def proxy(request, app, tmp_path):
    """The test runs behind each web server; `proxy.url` is how people reach Hai."""
    folder = tmp_path / "proxy"
    folder.mkdir()
    os.chmod(tmp_path, 0o755)
    proxy = request.param(folder, app.port)
    proxy.start()
    yield proxy
    proxy.stop()


def free_port():
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    with sockets.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
