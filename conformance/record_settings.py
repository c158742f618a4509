"""Records what the reference says about its settings: `REFERENCE_PYTHON conformance/record_settings.py`.

Run with an interpreter that has Prefect 3.8.8; writes `conformance/data/settings.json`, against which
`tests/core/settings` compares. For each scenario of `settings_scenarios.py` the reference reads its settings in a fresh
process; recorded is what then differs from the settings of an empty environment, or that it refused.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HOME = "/home/somebody"
HERE = Path(__file__).parent


def main() -> None:
    """Write the file."""
    answers = [in_fresh_process(scenario) for scenario in scenarios()]
    base = answers[0]
    facts = {
        "settings": declared(),
        "defaults": base["settings"],
        "scenarios": [
            {**scenario, **(answer if "refused" in answer else changes(base, answer))}
            for scenario, answer in zip(scenarios(), answers, strict=True)
        ],
    }
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "data" / "settings.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(facts['settings'])} settings, {len(answers)} scenarios")


def scenarios() -> list[dict[str, Any]]:
    """The scenarios, the empty one first."""
    sys.path.insert(0, str(HERE))
    from settings_scenarios import SCENARIOS

    return SCENARIOS


def in_fresh_process(scenario: dict[str, Any]) -> dict[str, Any]:
    """What the reference's settings are in one environment."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            for name, text in scenario["files"].items():
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_text(text, encoding="utf-8")
            os.environ.clear()
            os.environ.update({"HOME": HOME, **scenario["environ"]})
            os.write(writing, json.dumps(answer()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return dict(json.loads(text))


def answer() -> dict[str, Any]:
    """The reference's settings in this process."""
    from prefect.settings import Settings

    try:
        settings = Settings()
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        return {"refused": type(error).__name__}
    url = settings.server.database.connection_url
    return {
        "settings": flat(json.loads(settings.model_dump_json())),
        "database_url": url.get_secret_value() if url is not None else None,
    }


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings by dotted paths; mappings that are a value stay one."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = prefix + key
        if isinstance(value, dict) and path not in ("client.custom_headers", OVERRIDES):
            found |= flat(value, path + ".")
        else:
            found[path] = sorted(value) if isinstance(value, list) and all_text(value) else value
    return found


OVERRIDES = "server.services.db_vacuum.event_retention_overrides"


def all_text(values: list[Any]) -> bool:
    """Whether these may be the members of a set, whose order says nothing."""
    return all(isinstance(value, str) for value in values)


def changes(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What differs from the settings of an empty environment."""
    return {
        "changes": {path: value for path, value in other["settings"].items() if value != base["settings"][path]},
        "database_url": other["database_url"],
    }


def declared() -> list[dict[str, Any]]:
    """Path, names, limits and secrecy of every setting."""
    from prefect.settings import Settings
    from pydantic import BaseModel

    def walk(model: type[BaseModel], path: tuple[str, ...]) -> list[dict[str, Any]]:
        found = []
        for name, info in model.model_fields.items():
            here = (*path, name)
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                found += walk(info.annotation, here)
                continue
            canonical = "PREFECT_" + "_".join(here).upper()
            choices = getattr(info.validation_alias, "choices", [])
            names = [choice.upper() for choice in choices if isinstance(choice, str)] or [canonical]
            limits = {
                kind: getattr(limit, "total_seconds", lambda limit=limit: float(limit))()
                for item in info.metadata
                for kind in ("gt", "ge", "le")
                if (limit := getattr(item, kind, None)) is not None
            }
            found.append(
                {
                    "path": ".".join(here),
                    "name": canonical,
                    "aliases": [alias for alias in names if alias != canonical],
                    "limits": limits,
                    "secret": "SecretStr" in str(info.annotation),
                }
            )
        return found

    return walk(Settings, ())


if __name__ == "__main__":
    os.environ.clear()
    warnings.simplefilter("ignore")
    # Prefect makes its home directory when it is imported; HOME itself is only ever looked at by the scenarios.
    os.environ["HOME"] = tempfile.mkdtemp()
    import prefect.settings.sources as places

    places.DEFAULT_PREFECT_HOME = Path(HOME, ".prefect")
    main()
