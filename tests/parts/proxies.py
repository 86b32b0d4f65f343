"""nginx and HAProxy in front of a server, as people set them up who follow their manuals: nothing is tuned for streams.
And nginx as deploy/ sets it up.

What is silent for longer than a proxy's patience is cut by it: a minute for nginx; HAProxy has no patience of its own,
and its manual's is taken. A test may have it shorter.
"""

import os
import shutil
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from tests.parts import PartFailed, PartMissing
from tests.parts.process import Process, free_port, wait_until
from tests.parts.run import Run

_SECONDS_TO_START = 15
_TRIES = 5
# Debian keeps servers where only root looks for programs.
_FOLDERS = ("/usr/local/sbin", "/usr/sbin")

_TEMPLATE = Path(__file__).parents[2] / "deploy" / "nginx" / "palaver.conf.template"

_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr;
{user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {patience}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://{upstream};
    }}
    location /ws/ {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
  }}
}}
"""

_HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client {patience}s
  timeout server {patience}s
frontend all
  bind 127.0.0.1:{port}
  default_backend palaver
backend palaver
  server one {upstream}
"""


class Proxy(ABC):
    """A proxy of one server. `patience`: seconds of silence after which it cuts; None as it comes."""

    name: ClassVar[str]

    def __init__(self, run: Run, upstream: str, *, patience: float | None = None) -> None:
        self._run = run
        self._upstream = urlsplit(upstream).netloc
        self._patience = patience
        self._folder = run.make_folder(self.name)
        self._program = _find_program(self.name)
        self.url = ""
        self.process: Process

    async def start(self) -> None:
        for _ in range(_TRIES):
            port = free_port()
            (self._folder / "settings").write_text(self.settings(port))
            log = self._folder / "log"
            self.process = Process(self._run, [self._program, *self.arguments()], name=self.name, log=log)
            if await self._listens(port):
                self.url = f"http://127.0.0.1:{port}"
                return
            # Somebody else may have taken the port in between.
            self.process.kill()
        raise PartFailed(f"{self.name} would not start:\n{self.process.log_text()}")

    async def _listens(self, port: int) -> bool:
        """Whether it got there; it ends where it does not."""

        def is_decided() -> bool:
            return _is_open(port) or not self.process.is_running

        return await wait_until(is_decided, seconds=_SECONDS_TO_START) and self.process.is_running

    @abstractmethod
    def settings(self, port: int) -> str: ...

    @abstractmethod
    def arguments(self) -> list[str]: ...


class Nginx(Proxy):
    name = "nginx"

    def settings(self, port: int) -> str:
        patience = "" if self._patience is None else f"proxy_read_timeout {self._patience * 1000:.0f}ms;"
        # It would run as another user, who cannot get into the run's folder.
        user = "user root;" if os.geteuid() == 0 else ""
        return _NGINX.format(folder=self._folder, user=user, patience=patience, port=port, upstream=self._upstream)

    def arguments(self) -> list[str]:
        return ["-p", str(self._folder), "-e", "stderr", "-c", str(self._folder / "settings")]


class DeployedNginx(Nginx):
    """nginx with the file of deploy/, put in as its image does it."""

    def settings(self, port: int) -> str:
        told = {
            "NGINX_LISTEN": f"127.0.0.1:{port}",
            "NGINX_UPSTREAM": self._upstream,
            # An address needs none.
            "NGINX_LOCAL_RESOLVERS": "127.0.0.1",
        }
        text = _TEMPLATE.read_text()
        for name, value in told.items():
            text = text.replace(f"${{{name}}}", value)
        if self._patience is not None:
            text = text.replace("_timeout 60s;", f"_timeout {self._patience * 1000:.0f}ms;")
        around, _, _ = super().settings(port).partition("  server {")
        return f"{around}{text}}}\n"


class HAProxy(Proxy):
    name = "haproxy"

    def settings(self, port: int) -> str:
        return _HAPROXY.format(patience=f"{self._patience or 50:g}", port=port, upstream=self._upstream)

    def arguments(self) -> list[str]:
        return ["-db", "-f", str(self._folder / "settings")]


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _find_program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS)))
    if found is None:
        raise PartMissing(f"No {name} is on the PATH. `make ready` installs one.")
    return str(Path(found))
