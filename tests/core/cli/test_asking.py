"""How commands reach the server: as clients with the same settings would."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from prefect_kernel.cli.asking import address_of, get
from prefect_kernel.errors import SettingsError
from prefect_kernel.settings import Settings, load


def settings(home: Path, **environ: Any) -> Settings:
    """Settings of somebody with these variables."""
    return load({"PREFECT_HOME": str(home), **environ}, home)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key, and a certificate for 127.0.0.1 that only those trust who know it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server of a test")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[str]:
    """A server with that certificate, which answers with the header that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'"%s"' % self.headers.get("Authorization", "").encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    served = HTTPServer(("127.0.0.1", 0), Handler)
    served.socket = context.wrap_socket(served.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=served.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{served.server_port}/api"
    served.shutdown()
    served.server_close()
    thread.join()


def test_certificates_are_those_of_clients(server: str, certificate: Path, tmp_path: Path) -> None:
    """A server behind TLS is reached with the certificates that the clients' settings name."""
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        get(settings(tmp_path), server, 10)
    for variables in (
        {"PREFECT_API_SSL_CERT_FILE": str(certificate)},
        {"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"},
    ):
        assert get(settings(tmp_path, **variables), server, 10).json == ""
    with pytest.raises(OSError, match="No such file"):
        get(settings(tmp_path, PREFECT_API_SSL_CERT_FILE="nowhere.pem"), server, 10)


def test_secrets_are_those_of_clients(server: str, tmp_path: Path) -> None:
    """The auth string, or else the key."""
    sent = {"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true", "PREFECT_API_KEY": "pkk_x"}
    assert get(settings(tmp_path, **sent), server, 10).json == "Bearer pkk_x"
    assert get(settings(tmp_path, PREFECT_API_AUTH_STRING="a:b", **sent), server, 10).json == "Basic YTpi"


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "http://127.0.0.1:4200/api"),
        ({"PREFECT_API_URL": "https://x.example.com/p/api/"}, "https://x.example.com/p/api"),
        ({"PREFECT_SERVER_API_HOST": "0.0.0.0", "PREFECT_SERVER_API_PORT": "1"}, "http://127.0.0.1:1/api"),
        ({"PREFECT_SERVER_API_HOST": "::1", "PREFECT_SERVER_API_BASE_PATH": "/p/api"}, "http://[::1]:4200/p/api"),
    ],
)
def test_addresses(variables: dict[str, str], address: str, tmp_path: Path) -> None:
    """What clients are told, or where the server listens."""
    assert address_of(settings(tmp_path, **variables)) == address


@pytest.mark.parametrize("url", ["http://[", "nonsense", "ftp://x/api", "http://x:99999/api", "http:///api"])
def test_what_is_no_address(url: str, tmp_path: Path) -> None:
    """Is said in one sentence."""
    with pytest.raises(SettingsError, match="is no URL of an API"):
        address_of(settings(tmp_path), url)
