"""`prefect-kernel ui`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from prefect_kernel_plugins.ui import bundles, install

from .support import build


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel as Prefect's: two interfaces, and code."""
    path = tmp_path / "prefect-3.8.8-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for version, folder in bundles.FOLDERS.items():
            root = build(tmp_path / "built" / version, version)
            for file in root.rglob("*"):
                if file.is_file():
                    archive.write(file, f"prefect/server/{folder}/{file.relative_to(root)}")
        archive.writestr("prefect/__init__.py", "raise SystemExit")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundles, "installed_folder", lambda: None)
    return tmp_path / "home"


def test_install_and_where(wheel: Path, home: Path) -> None:
    """The interface is taken out of a wheel, nothing else is, and it is found; again, it is replaced."""
    assert CliRunner().invoke(install.ui, ["where"]).exit_code == 1
    for _ in range(2):
        done = CliRunner().invoke(install.ui, ["install", "--from", str(wheel)])
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in (home / "ui").iterdir()) == ["v1", "v2"]
        (home / "ui" / "v1" / "stale.js").write_text("gone the next time")
    done = CliRunner().invoke(install.ui, ["install", "--from", str(wheel)])
    assert not (home / "ui" / "v1" / "stale.js").exists()
    found = CliRunner().invoke(install.ui, ["where"])
    assert found.output.splitlines() == [f"v1  {home / 'ui' / 'v1'}", f"v2  {home / 'ui' / 'v2'}"]
    assert not list(home.rglob("__init__.py"))


def test_what_is_no_wheel(tmp_path: Path, home: Path) -> None:
    """Files that hold no interface, or one that leads out of its folder, change nothing."""
    wrong = tmp_path / "wrong.whl"
    wrong.write_bytes(b"no zip")
    with pytest.raises(install.InstallError, match="is not a wheel"):
        install.unpack(wrong, home)
    with zipfile.ZipFile(wrong, "w") as archive:
        archive.writestr("prefect/__init__.py", "")
    with pytest.raises(install.InstallError, match="holds no web interface"):
        install.unpack(wrong, home)
    with zipfile.ZipFile(wrong, "w") as archive:
        archive.writestr("prefect/server/ui/index.html", "")
        archive.writestr("prefect/server/ui/../../../../out.txt", "")
    with pytest.raises(install.InstallError, match="leads out"):
        install.unpack(wrong, home)
    assert not list(tmp_path.rglob("out.txt"))
    assert not [path for path in home.rglob("*") if path.is_file()]
