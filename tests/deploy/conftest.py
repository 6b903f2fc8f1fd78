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


class Proxy:
    """A web server on a free port that passes everything on to `backend`."""

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

    @property
    def log(self):
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


class Apache(Proxy):
    def command(self):
        path = self.folder / "apache.conf"
        path.write_text(self.fill(APACHE))
        program = shutil.which("apache2") or "/usr/sbin/apache2"
        return [program, "-D", "FOREGROUND", "-f", path]


class Nginx(Proxy):
    def command(self):
        (self.folder / "hai.conf").write_text(self.adapted())
        path = self.folder / "nginx.conf"
        path.write_text(self.fill(NGINX))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return [program, "-c", path, "-e", self.folder / "error.log"]

    def adapted(self):
        """deploy/nginx.conf with what a newcomer changes in it, changed."""
        text = (DEPLOY / "nginx.conf").read_text()
        for pattern, new in (
            (r"server 127\.0\.0\.1:8888", f"server 127.0.0.1:{self.backend}"),
            (r"\n    listen 80;", f"\n    listen 127.0.0.1:{self.port};"),
            (r"server_name hai\.example\.org", "server_name localhost"),
        ):
            text, count = re.subn(pattern, new, text)
            assert count == 1, pattern
        return text


@pytest.fixture(params=[Apache, Nginx], ids=["apache", "nginx"])
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
