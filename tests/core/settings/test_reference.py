"""Settings mean what they mean to Prefect: names, defaults, limits, and which of several values wins.

What Prefect says is in `conformance/data/settings.json`, recorded by `conformance/record_settings.py`.
"""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prefect_kernel.errors import SettingsError
from prefect_kernel.settings import Settings, load
from prefect_kernel.settings.client import ClientSide
from prefect_kernel.settings.fields import Declaration, declarations

ROOT = Path(__file__).parents[3]
FACTS: dict[str, Any] = json.loads((ROOT / "conformance" / "data" / "settings.json").read_text(encoding="utf-8"))
SCENARIOS: list[dict[str, Any]] = FACTS["scenarios"]
HOME = {"HOME": "/home/somebody"}


def ours() -> dict[str, Declaration]:
    """Every declared setting that Prefect has too, by path."""
    every = [*declarations(Settings).values(), *declarations(ClientSide).values()]
    return {declared.dotted: declared for declared in every if declared.path[0] != "kernel"}


def flat(tree: dict[str, Any], known: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings by dotted paths, like the recorded ones."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = prefix + key
        if isinstance(value, dict) and path not in known:
            found |= flat(value, known, path + ".")
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            found[path] = sorted(value)
        else:
            found[path] = value
    return found


def write(directory: Path, files: dict[str, str]) -> None:
    """Put files into the working directory of a scenario."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")


def test_names_aliases_limits_and_secrecy_are_prefects() -> None:
    """All 226 settings of Prefect are declared, under the same names, with the same limits; the same are secret."""
    assert len(FACTS["settings"]) == 226
    expected = {
        fact["path"]: (fact["name"], fact["aliases"], fact["limits"], fact["secret"]) for fact in FACTS["settings"]
    }
    declared = {
        path: (
            one.name,
            list(one.aliases),
            {kind: v.total_seconds() if isinstance(v, timedelta) else float(v) for kind, v in one.limits},
            one.secret,
        )
        for path, one in ours().items()
    }
    assert declared == expected


def test_defaults_are_prefects(tmp_path: Path) -> None:
    """With nothing set, every value that `GET /api/admin/settings` shows is the one Prefect shows."""
    settings = load(HOME, tmp_path)
    assert flat(settings.admin_settings(), FACTS["defaults"]) == FACTS["defaults"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[f"{n}: {one['why']}" for n, one in enumerate(SCENARIOS)])
def test_a_scenario_is_understood_as_prefect_does(scenario: dict[str, Any], tmp_path: Path) -> None:
    """Environment and files give the values that Prefect takes from them, or are refused as Prefect refuses them."""
    write(tmp_path, scenario["files"])
    environ = {**HOME, **scenario["environ"]}
    if "refused" in scenario:
        with pytest.raises(SettingsError):
            load(environ, tmp_path)
        return
    settings = load(environ, tmp_path)
    found = flat(settings.admin_settings(), FACTS["defaults"])
    assert {path: value for path, value in found.items() if value != FACTS["defaults"][path]} == scenario["changes"]
    assert settings.database_url == scenario["database_url"]


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        (declared.name, text, fine)
        for declared in ours().values()
        for kind, limit in declared.limits
        for text, fine in [
            (f"{(limit.total_seconds() if isinstance(limit, timedelta) else limit):g}", kind != "gt"),
            (f"{(limit.total_seconds() if isinstance(limit, timedelta) else limit) + 1:g}", kind != "le"),
            (f"{(limit.total_seconds() if isinstance(limit, timedelta) else limit) - 1:g}", kind == "le"),
        ]
    ],
)
def test_each_limit_holds_at_its_edge(name: str, value: str, fine: bool, tmp_path: Path) -> None:
    """A value at, above and below each limit is taken or refused, and the refusal names variable and limit."""
    environ = {**HOME, name: value}
    if fine:
        load(environ, tmp_path)
        return
    with pytest.raises(SettingsError) as caught:
        load(environ, tmp_path)
    assert caught.value.message.startswith(f"{name} = {value!r} (from environment) is not allowed: must be")
    assert "\n" not in caught.value.message


def test_the_recorded_facts_are_those_of_the_living_reference(reference_python: Path, tmp_path: Path) -> None:
    """Recording again with Prefect 3.8.8 gives the file that is in the repository."""
    recorded = tmp_path / "settings.json"
    script = ROOT / "conformance" / "record_settings.py"
    subprocess.run([reference_python, script, recorded], check=True, capture_output=True)
    assert json.loads(recorded.read_text(encoding="utf-8")) == FACTS
