"""The small endpoints that every client asks first."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import wrong_methods

PLAIN = ("/health", "/ready", "/hello", "/version", "/admin/version", "/admin/storage")


@sequence(independent=True)
def small_answers(s: Script) -> None:
    """Health, ready, hello, versions and default storage."""
    for path in PLAIN:
        s.get(path)
        s.get(f"{path}?unknown=1&x=")


@sequence(independent=True)
def small_answers_and_methods(s: Script) -> None:
    """Other methods and other slashes."""
    for path in PLAIN:
        allowed = ("GET", "PUT", "DELETE") if path == "/admin/storage" else ("GET",)
        wrong_methods(s, path, allowed)
    wrong_methods(s, "/csrf-token", ("GET",))
    wrong_methods(s, "/admin/settings", ("GET",))


@sequence
def settings(s: Script) -> None:
    """All settings, with secrets hidden."""
    s.get("/admin/settings", ignore=("body.server.api.port",))


@sequence(independent=True)
def csrf_token(s: Script) -> None:
    """CSRF protection is off: whoever asks for a token is told so."""
    s.get("/csrf-token")
    for client in ("c", "", "%00", "x" * 300, "a&client=b", "gr%C3%B6%C3%9Fe"):
        s.get(f"/csrf-token?client={client}")


@sequence(independent=True)
def unknown_paths(s: Script) -> None:
    """Paths that do not exist."""
    for path in ("/nothing", "/", "", "/flows/x/y", "/health/x", "/%2e%2e/health", "//health", "/Health", "/%C3%BC"):
        s.get(path)
        s.post(path, {})
    for path in ("/apix", "/api"):
        s.get(path, outside_api=True)


@sequence(independent=True)
def api_version_header(s: Script) -> None:
    """The version a client says it was made for."""
    for version in (
        "0.8.4", "0.8.0", "0.8.3", "0.7.9", "0.0.0", "1.0.0", "99.99.99", "0.8", "0.8.4.1", "x", "", " 0.8.4 ", "0.8.x",
        "-1.0.0", "0.08.4", "2.20.3",
    ):  # fmt: skip
        headers = {"X-PREFECT-API-VERSION": version} if version else {}
        s.get("/health", headers=headers)
        s.get("/version", headers=headers)
        s.post("/flows/filter", {"limit": 0}, headers=headers)
        s.post("/flows/", {"wrong": 1}, headers=headers)
        s.get("/nothing", headers=headers)
        s.post("/logs/", [], headers=headers)


@sequence(independent=True)
def cross_origin(s: Script) -> None:
    """CORS: simple requests and preflights."""
    for origin in ("http://example.com", "null", ""):
        headers = {"Origin": origin} if origin else {}
        s.get("/health", headers=headers)
        s.get("/nothing", headers=headers)
        s.request("OPTIONS", "/flows/", headers={**headers, "Access-Control-Request-Method": "POST"})
        s.request("OPTIONS", "/flows/", headers=headers)
        asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x-a, content-type"}
        s.request("OPTIONS", "/nothing", headers={**headers, **asked})


@sequence(independent=True)
def compression(s: Script) -> None:
    """Bodies of 500 bytes and more are compressed for those who can read it."""
    for accepted in ("gzip", "deflate", "br", "zstd", "identity", "gzip;q=0", "*", "gzip, deflate, br, zstd", "GZIP"):
        s.get("/health", headers={"Accept-Encoding": accepted})
        s.get("/admin/settings", headers={"Accept-Encoding": accepted}, ignore=("body",))
