"""Callers with a token of an OpenID provider."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from prefect_kernel.errors import SettingsError
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel.web import open_sockets
from prefect_kernel_plugins.access import users
from prefect_kernel_plugins.oidc import key_set
from prefect_kernel_plugins.oidc.key_set import KeySet
from prefect_kernel_plugins.oidc.tokens import claimed
from tests.support.callers import SUCCESS, auth, basic, talk

RSA, OTHER, EC = (
    rsa.generate_private_key(65537, 2048),
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP256R1()),
)
ISSUER = "https://issuer.example.com"


def jwks(**keys: Any) -> dict[str, Any]:
    """A key set."""
    found = []
    for kid, key in keys.items():
        algorithm: Any = (
            jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
        )
        found.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return {"keys": found}


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one", **changes: Any) -> str:
    """A token that is good, but for the changes; None takes a claim out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": "prefect",
        "sub": "ada",
        "exp": now + 300,
        "iat": now,
        "roles": ["runner"],
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={} if kid is None else {"kid": kid})


class Provider:
    """An OpenID provider on this machine, which counts what it is asked."""

    def __init__(self) -> None:
        self.keys: Any = jwks(one=RSA)
        self.asked: list[str] = []
        self.works = True
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                document: Any = provider.keys
                if self.path == "/.well-known/openid-configuration":
                    document = {"issuer": provider.url, "jwks_uri": provider.url + "/keys"}
                body = json.dumps(document).encode()
                self.send_response(200 if provider.works else 500)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A running provider."""
    made = Provider()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def settings(jwks: Path | str = "", issuer: str = ISSUER, **more: Any) -> dict[str, Any]:
    """Settings that turn it on."""
    return {
        "PREFECT_KERNEL_OIDC_ISSUER": issuer,
        "PREFECT_KERNEL_OIDC_AUDIENCE": "prefect,other",
        "PREFECT_KERNEL_OIDC_JWKS": str(jwks),
        **{f"PREFECT_KERNEL_OIDC_{name}": value for name, value in more.items()},
    }


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file of public keys."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks(one=RSA, two=EC)))
    return path


def status(kernel: KernelUnderTest, header: str, method: str = "GET", path: str = "/hello") -> int:
    """How a request is answered."""
    return kernel.client.request(method, path, headers={"Authorization": header}).status


def test_good_tokens(make_kernel: MakeKernel, keys: Path) -> None:
    """They let in as far as their roles go, in each form in which clients send them."""
    kernel = make_kernel(settings=settings(keys))
    good = token()
    for header in (f"Bearer {good}", basic(good), basic(f"x:{good}")):
        assert status(kernel, header) == 200
        assert status(kernel, header, "POST", "/variables/") == 403
        assert status(kernel, header, "POST", "/logs/") == 422
    assert talk(kernel, "/api/events/in", auth(good))[1] == SUCCESS
    assert talk(kernel, "/api/events/in", auth(None), authorization=f"Bearer {good}")[1] == SUCCESS
    assert status(kernel, f"Bearer {token(EC, 'ES256', 'two')}") == 200
    assert status(kernel, f"Bearer {token(aud=['x', 'other'])}") == 200
    assert status(kernel, f"Bearer {token(exp=int(time.time()) - 20)}") == 200, "clocks differ"
    assert kernel.client.get("/ui-settings", absolute=True).json()["auth"] == "BASIC"
    me = kernel.client.get("/kernel/me", headers={"Authorization": f"Bearer {good}"}).json()
    assert me == {"name": "ada", "permission": "run", "way": "oidc"}


def test_sockets_end_with_the_token(make_kernel: MakeKernel, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WebSocket does not outlive the token that has opened it, also where its end cannot be told as a date."""
    monkeypatch.setattr(open_sockets, "ROUND", 0.01)
    kernel = make_kernel(settings=settings(keys))
    ends = int(kernel.clock.now().timestamp()) - 31  # the leeway is 30 seconds
    assert talk(kernel, "/api/events/in", auth(token(exp=ends)), stays=True)[2:] == [
        ("close", "Credentials are no longer valid")
    ]
    assert talk(kernel, "/api/events/in", auth(token(exp=10**20)))[1:] == [SUCCESS]


def test_bad_tokens(make_kernel: MakeKernel, keys: Path) -> None:
    """Whatever is wrong with one, nobody gets in with it."""
    kernel = make_kernel(settings=settings(keys))
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body, signature = token().split(".")
    admin = token(roles=["admin"]).split(".")[1]
    now = int(time.time())
    bad = {
        "expired": token(exp=now - 60),
        "no expiry": token(exp=None),
        "not yet": token(nbf=now + 3600),
        "another issuer": token(iss=ISSUER + "/"),
        "no issuer": token(iss=None),
        "another audience": token(aud="someone"),
        "no audience": token(aud=None),
        "another key": token(OTHER),
        "an unknown key": token(OTHER, kid="three"),
        "no key": token(kid=None),
        "the other key's algorithm": token(RSA, "RS256", "two"),
        "no signature": f"{head}.{body}.",
        "unsigned": jwt.encode({"iss": ISSUER, "aud": "prefect", "exp": now + 60, "sub": "x"}, "", "none"),
        "changed": f"{head}.{admin}.{signature}",
        "no role": token(roles=None),
        "an unknown role": token(roles=["king"]),
        "no name": token(sub=None),
        "nonsense": "a.b.c",
        "long": "a." + "b" * 20_000 + ".c",
    }
    # Signed with the public key, as if it were a shared secret; PyJWT refuses to make such a token.
    import base64
    import hashlib
    import hmac

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    forged = part(b'{"alg":"HS256","kid":"one","typ":"JWT"}') + "." + admin
    bad["a public key as secret"] = forged + "." + part(hmac.digest(public, forged.encode(), hashlib.sha256))
    for what, wrong in bad.items():
        assert status(kernel, f"Bearer {wrong}") == 401, what
        assert talk(kernel, "/api/events/in", auth(wrong))[1][0] == "close", what


def test_roles(make_kernel: MakeKernel, keys: Path) -> None:
    """A claim within objects, groups with other names, and a role for everybody."""
    kernel = make_kernel(
        settings=settings(keys, ROLE_CLAIM="realm_access.roles", ROLES={"ops": "editor"}, DEFAULT_ROLE="viewer")
    )
    editor = f"Bearer {token(realm_access={'roles': ['x', 'ops']})}"
    assert status(kernel, editor, "POST", "/variables/") == 422
    viewer = f"Bearer {token(realm_access={'roles': ['editor', 7]})}"
    assert status(kernel, viewer) == 200
    assert status(kernel, viewer, "POST", "/logs/") == 403


@pytest.mark.parametrize(
    ("claims", "path", "found"),
    [
        ({"scope": "a b,c"}, "scope", ["a", "b", "c"]),
        ({"a.b": ["x"]}, "a.b", ["x"]),
        ({"a": {"b": ["x", None]}}, "a.b", ["x"]),
        ({"a": "x"}, "a.b", []),
        ({"a": 7}, "a", []),
        ({}, "a", []),
    ],
)
def test_claims(claims: dict[str, Any], path: str, found: list[str]) -> None:
    """What stands at a claim."""
    assert claimed(claims, path) == found


def test_discovery(make_kernel: MakeKernel, provider: Provider) -> None:
    """The issuer says where its keys are, and is asked once."""
    kernel = make_kernel(settings=settings(issuer=provider.url))
    for _ in range(3):
        assert status(kernel, f"Bearer {token(iss=provider.url)}") == 200
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


def test_keys_are_fetched_again(provider: Provider, make_kernel: MakeKernel) -> None:
    """For a key that is not known, but not for each token that names one; old ones serve while the issuer is away."""
    kernel, now = make_kernel(), 0.0
    held = KeySet(ISSUER, provider.url + "/keys", lambda: now)

    def has(kid: str) -> bool:
        return kernel.run(held.key(kid)) is not None

    assert has("one")
    provider.keys = jwks(one=RSA, two=EC)
    assert not has("two")
    assert len(provider.asked) == 1
    now = key_set.PAUSE + 1
    assert has("two")
    for kid in ("three", "four"):
        assert not has(kid)
    assert len(provider.asked) == 2
    now += key_set.FRESH + 1
    assert has("one")
    assert len(provider.asked) == 3
    provider.works = False
    now += key_set.FRESH + 1
    assert has("one")
    assert len(provider.asked) == 4
    now += key_set.STALE
    with pytest.raises(Exception, match="Service Unavailable"):
        has("one")


def test_who_comes_while_keys_are_fetched(provider: Provider, make_kernel: MakeKernel) -> None:
    """Waits for them, and is not sent away; they are fetched once."""
    kernel, held = make_kernel(), KeySet(ISSUER, provider.url + "/keys")

    async def ask() -> list[Any]:
        return await asyncio.gather(*(held.key("one") for _ in range(5)))

    assert None not in kernel.run(ask())
    assert len(provider.asked) == 1


def test_a_place_of_keys_that_is_none(make_kernel: MakeKernel) -> None:
    """Callers are told to come back."""
    kernel = make_kernel(settings=settings("http://[half"))
    assert status(kernel, f"Bearer {token()}") == 503


def test_tokens_beside_passwords(make_kernel: MakeKernel, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that comes as a password is not first checked as one, which would take a tenth of a second each time."""
    kernel = make_kernel(settings={**settings(keys), "PREFECT_KERNEL_USERS": True})
    checked: list[str] = []

    def matches(password: str, _: str) -> bool:
        checked.append(password)
        return False

    monkeypatch.setattr(users, "matches", matches)
    assert status(kernel, basic(f"any:{token(EC, 'ES256', 'two')}")) == 200
    assert checked == []
    assert status(kernel, basic("any:a.b.c")) == 401
    assert checked == ["a.b.c"]


@pytest.mark.parametrize("document", [{}, [], {"keys": []}, {"keys": [{"kty": "oct", "k": "eA"}]}, {"keys": [7, {}]}])
def test_what_is_no_key_set(make_kernel: MakeKernel, provider: Provider, document: Any) -> None:
    """Nobody gets in, and callers are told to come back."""
    provider.keys = document
    kernel = make_kernel(settings=settings(provider.url + "/keys"))
    assert status(kernel, f"Bearer {token()}") == 503
    assert status(kernel, "Bearer x") == 401


def test_an_audience_must_be_said(make_kernel: MakeKernel) -> None:
    """Or a token for anything else of the issuer would do."""
    with pytest.raises(SettingsError, match="PREFECT_KERNEL_OIDC_AUDIENCE"):
        make_kernel(settings={"PREFECT_KERNEL_OIDC_ISSUER": ISSUER})


def forged(head: bytes) -> str:
    """A token with such a head, which nobody has signed."""
    parts = (head, b"{}", b"x")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    "head",
    [b"[" * 11_000, b'{"alg":' + b"[" * 9_000, b"\xff", b"NaN", b"1" * 8_000, b'{"alg":["RS256"]}', b'{"alg":{}}'],
)
def test_heads_of_tokens_that_nobody_has_signed(make_kernel: MakeKernel, keys: Path, head: bytes) -> None:
    """Anybody can send them, and they are refused."""
    assert status(make_kernel(settings=settings(keys)), f"Bearer {forged(head)}") == 401


@pytest.mark.parametrize("claims", [{"exp": float("inf")}, {"nbf": float("inf")}, {"iat": float("inf")}])
def test_times_that_are_none(make_kernel: MakeKernel, keys: Path, claims: dict[str, Any]) -> None:
    """A token with such a time is refused, whatever the library makes of it."""
    assert status(make_kernel(settings=settings(keys)), f"Bearer {token(**claims)}") == 401


def test_names_that_cannot_be_kept(make_kernel: MakeKernel, keys: Path) -> None:
    """What no database, answer or log can hold of a name is replaced, and an end far away is none."""
    kernel = make_kernel(settings={**settings(keys), "PREFECT_KERNEL_API_KEYS": True})
    header = {"Authorization": f"Bearer {token(sub=chr(0xD800) + 'a' + chr(0) + chr(10), exp=10**400, roles='admin')}"}
    assert kernel.client.get("/kernel/me", headers=header).json()["name"] == "\ufffda\ufffd\ufffd"
    made = kernel.client.post("/kernel/keys/", json={"name": "k"}, headers=header)
    assert (made.status, made.json()["created_by"]) == (201, "\ufffda\ufffd\ufffd")


def test_a_key_that_the_library_cannot_read(make_kernel: MakeKernel, keys: Path) -> None:
    """Is left out, and does not take the others with it."""
    good = jwks(one=RSA)["keys"][0]
    odd = [{**good, "kid": "x", "alg": "none"}, {**good, "kid": ["x"]}, {**good, "kid": "x", "n": 7}, {"kty": "OKP"}]
    keys.write_text(json.dumps({"keys": [*odd, good]}))
    assert status(make_kernel(settings=settings(keys)), f"Bearer {token()}") == 200


class SlowKeys(KeySet):
    """Keys of a provider that answers when it is told to."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(ISSUER, "", clock)
        self.answers, self.is_asked, self.asked = asyncio.Event(), asyncio.Event(), 0
        self.document = jwks(one=RSA)

    async def _read(self) -> bytes:
        self.asked += 1
        self.is_asked.set()
        await self.answers.wait()
        return json.dumps(self.document).encode()


def test_a_provider_that_hangs(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds up nobody whose key is known, is asked once for all, and no request that ends takes the answer along."""
    monkeypatch.setattr(key_set, "PATIENCE", 0.01)
    now = 0.0

    async def walk() -> None:
        nonlocal now
        held = SlowKeys(lambda: now)
        first = asyncio.create_task(held.key("one"))
        second = asyncio.create_task(held.key("one"))
        await held.is_asked.wait()
        first.cancel()
        held.answers.set()
        assert await second is not None, "though the client of the first is gone"
        held.answers.clear()
        now = key_set.FRESH + 1
        assert None not in await asyncio.gather(*(held.key("one") for _ in range(20)))
        assert held.asked == 2
        held.document = jwks(two=EC)
        waiting = [asyncio.create_task(held.key("two")) for _ in range(20)]
        await asyncio.sleep(0)
        held.answers.set()
        assert None not in await asyncio.gather(*waiting)
        assert await held.key("one") is None, "a key that was taken back"
        assert held.asked == 2

    make_kernel().run(walk())
