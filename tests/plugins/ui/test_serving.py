"""The web interface as browsers and scripts get it."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel.testing.client import Answer
from prefect_kernel_plugins.ui import bundles, files

from .support import build

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Prefect is installed beside the tests must make no difference."""
    monkeypatch.setattr(bundles, "installed_folder", lambda: None)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A directory with both versions."""
    for version in ("v1", "v2"):
        build(tmp_path / "static" / version, version)
    return tmp_path / "static"


def made(make_kernel: MakeKernel, static: Path | None, **settings: Any) -> KernelUnderTest:
    """A kernel that serves an interface."""
    directory = {} if static is None else {"PREFECT_UI_STATIC_DIRECTORY": str(static)}
    return make_kernel(settings={**directory, **settings})


def get(kernel: KernelUnderTest, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a path outside the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return kernel.client.request(method, path, headers=named, absolute=True)


def test_pages_and_files(make_kernel: MakeKernel, static: Path) -> None:
    """Pages of the interface are its index for who wants HTML; files are files; the rest is not found."""
    kernel = made(make_kernel, static)
    for path, version in (("/flow-runs", "v1"), ("/v2/", "v2"), ("/v2/flow-runs/x", "v2"), ("/v2x", "v1")):
        page = get(kernel, path, **BROWSER)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.text.endswith(f"{version}</html>")
        assert get(kernel, path).status == (200 if path == "/v2/" else 404)
    script = get(kernel, "/v2/assets/index-abc.js")
    assert script.text.startswith('const base = "/v2/"; // v2')
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert get(kernel, "/assets/index-abc.js").text.startswith('const base = "/"; // v1')
    assert get(kernel, "/assets/none.js").status == 404
    for method, path, status in (("POST", "/robots.txt", 405), ("POST", "/x", 404), ("PUT", "/ui-settings", 405)):
        assert get(kernel, path, method).status == status
    assert kernel.client.get("/nothing").json() == {"detail": "Not Found"}


def test_bytes_that_are_no_text_stay_as_they_are(make_kernel: MakeKernel, static: Path) -> None:
    """The base path is put into text alone."""
    kernel = made(make_kernel, static, PREFECT_UI_SERVE_BASE="/ui")
    assert get(kernel, "/ui/assets/logo.png").body == (static / "v1/assets/logo.png").read_bytes()


@pytest.mark.parametrize(
    ("base", "v1", "v2"),
    [("/", "/", "/v2"), ("/v2", "/", "/v2"),
     ("/a/v2", "/a", "/a/v2"), ("ui", "/ui", "/ui/v2"), ("/a/b/", "/a/b", "/a/b/v2")],
)  # fmt: skip
def test_the_base_path(make_kernel: MakeKernel, static: Path, base: str, v1: str, v2: str) -> None:
    """Each version is served below its base, and its files know it."""
    kernel = made(make_kernel, static, PREFECT_UI_SERVE_BASE=base)
    told = get(kernel, v1.rstrip("/") + "/ui-settings").json()
    assert (told["v1_base_url"], told["v2_base_url"]) == (v1, v2)
    prefix = v1.rstrip("/")
    assert f'src="{prefix}/assets/' in get(kernel, f"{prefix}/index.html").text
    assert f'src="{v2}/assets/' in get(kernel, f"{v2}/").text
    assert get(kernel, v2).headers["location"] == f"http://testserver{v2}/"
    if v1 != "/":
        assert get(kernel, "/elsewhere", **BROWSER).status == 404


def test_browsers_get_the_version_that_they_prefer(make_kernel: MakeKernel, static: Path) -> None:
    """From the root browsers go to the default version, or to the one in their cookie; scripts stay."""
    kernel = made(make_kernel, static)
    sent_on = get(kernel, "/", **BROWSER)
    assert (sent_on.status, sent_on.headers["location"]) == (307, "/v2/")
    assert get(kernel, "/").status == 200
    assert get(kernel, "/", sec_fetch_mode="navigate").status == 307
    assert get(kernel, "/", cookie="a=b; prefect_ui_version=v1", **BROWSER).status == 200
    assert get(kernel, "/", cookie="prefect_ui_version=other", **BROWSER).status == 307
    old = made(make_kernel, static, PREFECT_SERVER_UI_V2_ENABLED=False)
    assert get(old, "/", **BROWSER).status == 200
    shutil.rmtree(static / "v2")
    alone = made(make_kernel, static)
    assert get(alone, "/v2/runs", **BROWSER).headers["location"] == "/runs"
    assert get(alone, "/v2//elsewhere.example.com/x", **BROWSER).headers["location"] == "/elsewhere.example.com/x"
    assert get(old, "/", cookie="prefect_ui_version=v2", **BROWSER).headers["location"] == "/v2/"


def test_one_version_alone(make_kernel: MakeKernel, tmp_path: Path) -> None:
    """Where one version is all there is, it is the default, and links into the other lead to it."""
    build(tmp_path / "one" / "v1", "v1")
    kernel = made(make_kernel, tmp_path / "one")
    told = get(kernel, "/ui-settings").json()
    assert (told["default_ui"], told["available_uis"], told["v2_base_url"]) == ("v1", ["v1"], None)
    assert get(kernel, "/", **BROWSER).status == 200
    assert get(kernel, "/v2/flow-runs", **BROWSER).headers["location"] == "/flow-runs"


def test_settings_for_the_interface(make_kernel: MakeKernel, static: Path) -> None:
    """What the interface asks first."""
    kernel = made(
        make_kernel,
        static,
        PREFECT_UI_API_URL="/api",
        PREFECT_SERVER_CSRF_PROTECTION_ENABLED=True,
        PREFECT_SERVER_API_AUTH_STRING="a:b",
    )
    assert get(kernel, "/ui-settings").json() == {
        "api_url": "/api",
        "csrf_enabled": True,
        "auth": "BASIC",
        "flags": [],
        "default_ui": "v2",
        "available_uis": ["v1", "v2"],
        "v1_base_url": "/",
        "v2_base_url": "/v2",
    }


def test_validators_and_caching(make_kernel: MakeKernel, static: Path) -> None:
    """What a client has it does not get again; pages are asked for each time, hashed files never."""
    kernel = made(make_kernel, static)
    first = get(kernel, "/v2/assets/index-abc.js")
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert get(kernel, "/v2/").headers["cache-control"] == "no-cache"
    again = get(kernel, "/v2/assets/index-abc.js", if_none_match=f'"x", W/{first.headers["etag"]}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert get(kernel, "/v2/assets/index-abc.js", if_none_match='"x"').status == 200
    assert get(kernel, "/v2/assets/index-abc.js", if_modified_since=first.headers["last-modified"]).status == 304
    assert get(kernel, "/v2/assets/index-abc.js", if_modified_since="Thu, 01 Jan 1970 00:00:00 GMT").status == 200
    assert get(kernel, "/v2/assets/index-abc.js", if_modified_since="yesterday").status == 200
    assert get(kernel, "/assets/index-abc.js").headers["etag"] != first.headers["etag"]


def test_compression(make_kernel: MakeKernel, static: Path) -> None:
    """Text is compressed for those who can read it; the same file, the same content."""
    kernel = made(make_kernel, static)
    plain = get(kernel, "/v2/assets/index-abc.js")
    for _ in range(2):  # the second time from the cache
        packed = get(kernel, "/v2/assets/index-abc.js", accept_encoding="gzip, br")
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert int(packed.headers["content-length"]) == len(packed.body) < len(plain.body) / 10
    assert "content-encoding" not in get(kernel, "/assets/logo.png", accept_encoding="gzip").headers


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [("bytes=0-3", 206, slice(0, 4)), ("bytes=5-", 206, slice(5, None)), ("bytes=-4", 206, slice(-4, None)),
     ("bytes=99999-", 416, slice(0, 0)), ("bytes=4-2", 416, slice(0, 0)), ("lines=1-2", 200, slice(None))],
)  # fmt: skip
def test_ranges(make_kernel: MakeKernel, static: Path, asked: str, status: int, part: slice) -> None:
    """Parts of files."""
    kernel = made(make_kernel, static)
    whole = get(kernel, "/robots.txt").body
    answer = get(kernel, "/robots.txt", range=asked)
    assert (answer.status, answer.body) == (status, whole[part])


def test_nothing_outside_of_the_folder_is_served(make_kernel: MakeKernel, static: Path) -> None:
    """Neither by dots, nor by links, nor by absolute paths."""
    (static / "secret.txt").write_text("secret")
    (static / "v1" / "link.txt").symlink_to(static / "secret.txt")
    (static / "v1" / "linked").symlink_to(static)
    kernel = made(make_kernel, static)
    for path in (
        "/../secret.txt", "/assets/../../secret.txt", "//secret.txt", "/v2/../../secret.txt", "/link.txt",
        "/linked/secret.txt", str(static / "secret.txt"), "/" + str(static / "secret.txt"), "/\0", "/x" * 5000,
        "/" + "x" * 300, "/..\\secret.txt",
    ):  # fmt: skip
        answer = get(kernel, path)
        assert (answer.status, answer.body) == (404, b'{"detail":"Not Found"}'), path
        assert b"secret" not in get(kernel, path, **BROWSER).body


def test_pages_cannot_be_framed_elsewhere(make_kernel: MakeKernel, static: Path) -> None:
    """Browsers are told not to guess types, and who may frame pages."""
    kernel = made(make_kernel, static)
    headers = get(kernel, "/v2/").headers
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in get(
        made(make_kernel, static, PREFECT_KERNEL_UI_FRAME_ANCESTORS=""), "/v2/"
    ).headers  # fmt: skip


def test_without_an_interface_the_root_says_how_to_get_one(make_kernel: MakeKernel, tmp_path: Path) -> None:
    """People are told; scripts get 404; once there is one, it is served without a restart."""
    kernel = made(make_kernel, tmp_path / "later")
    page = get(kernel, "/", **BROWSER)
    assert page.status == 200
    assert "prefect-kernel ui install" in page.text
    assert get(kernel, "/").status == 404
    assert get(kernel, "/v2/", **BROWSER).status == 404
    assert get(kernel, "/ui-settings").json()["available_uis"] == []
    build(tmp_path / "later" / "v2", "v2")
    assert get(kernel, "/", **BROWSER).headers["location"] == "/v2/"


def test_switched_off(make_kernel: MakeKernel, static: Path) -> None:
    """Without an interface there are its settings alone."""
    kernel = made(make_kernel, static, PREFECT_UI_ENABLED=False)
    assert get(kernel, "/", **BROWSER).status == 404
    assert get(kernel, "/robots.txt").status == 404
    told = get(kernel, "/ui-settings").json()
    assert (told["default_ui"], told["available_uis"]) == ("v2", [])


def test_copies_of_prefect_are_served_for_their_base_alone(make_kernel: MakeKernel, static: Path) -> None:
    """A copy in which Prefect has put another base path is left alone."""
    (static / "v1" / bundles.COPIED).write_text("v1:3.8.8:/")
    (static / "v2" / bundles.COPIED).write_text("v2:3.8.8:/other/v2")
    assert get(made(make_kernel, static), "/ui-settings").json()["available_uis"] == ["v1"]
    (static / "index.html").write_text("the first version, in the directory itself")
    (static / bundles.COPIED).write_text("v1:3.8.8:/ui")
    kernel = made(make_kernel, static, PREFECT_UI_SERVE_BASE="/ui")
    assert get(kernel, "/ui/").text == "the first version, in the directory itself"


def test_the_cache_is_bounded(make_kernel: MakeKernel, static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files are asked for, the cache holds no more than its share."""
    monkeypatch.setattr(files, "CACHE_BYTES", 20_000)
    for number in range(50):
        (static / "v1" / f"{number}.txt").write_text("x" * 3000)
    kernel = made(make_kernel, static)
    for number in range(50):
        assert len(get(kernel, f"/{number}.txt").body) == 3000
    fallback = kernel.kernel.dispatcher.fallback
    served = fallback.__self__.files["v1"]  # type: ignore[union-attr]
    assert 3000 <= sum(map(len, served._cache.values())) == served._cached <= 20_000
