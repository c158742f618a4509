"""`docs/settings.md`, made from the declarations: `python -m prefect_kernel.settings.document docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from .client import ClientSide
from .describe import shown
from .fields import Declaration, declarations, groups
from .resolve import allowed_text
from .root import Settings

_HEAD = """\
# Settings

Made by `python -m prefect_kernel.settings.document docs/settings.md`; do not edit.

The kernel takes Prefect's settings under Prefect's names, with Prefect's defaults and limits, from where Prefect takes
them. What comes first wins:

1. options of the command line;
2. variables of the environment, in capitals or not;
3. the file `.env` in the working directory;
4. `prefect.toml` in the working directory, where `PREFECT_SERVER_API_PORT` is `port` in the table `[server.api]`;
5. `pyproject.toml` in the working directory, in tables below `[tool.prefect]`;
6. the active profile: `PREFECT_PROFILE`, else `active` in `$PREFECT_HOME/profiles.toml` (or in the file that
   `PREFECT_PROFILES_PATH` names);
7. the default.

`prefect-kernel settings` shows every value and where it came from, secrets masked.

A value that is not allowed ends the start with a sentence that says what is. So does an unknown name that begins with
`PREFECT_SERVER_` or `PREFECT_KERNEL_`, and any other that is one slip away from a known one. Other `PREFECT_` names are
left to whom they belong, and so are the variables that Kubernetes makes for a Service (`PREFECT_SERVER_PORT=tcp://…`).

Settings of plugins are read from the same places under the names that the plugin gives them. In TOML files
`PREFECT_KERNEL_ACME_FREEZE` is `acme_freeze` in `[kernel]`; `ACME_FREEZE` is `acme_freeze` in `[kernel.plugin]`.
"""

_CLIENTS = """\
## Read by clients, workers and runners

Accepted, checked, and shown by `GET /api/admin/settings`; the server does nothing else with them.
"""


def markdown() -> str:
    """The whole document."""
    parts = [_HEAD]
    every = declarations(Settings)
    for path, group in groups(Settings).items():
        here = [declared for place, declared in every.items() if place[:-1] == path]
        if here:
            title = ".".join(path) or "General"
            parts.append(f"## {title}\n\n{_sentence(group)}\n\n{_table(here)}")
    names = ["| name | also |", "|---|---|"]
    names += [f"| `{declared.name}` | {_code(declared.aliases)} |" for declared in declarations(ClientSide).values()]
    parts.append(_CLIENTS + "\n" + "\n".join(names) + "\n")
    return "\n".join(parts)


def _sentence(group: type[BaseModel]) -> str:
    return (group.__doc__ or "").split("\n", 1)[0]


def _table(settings: Iterable[Declaration]) -> str:
    lines = ["| name | also | allowed | default | |", "|---|---|---|---|---|"]
    for declared in settings:
        default = shown(declared.default)
        lines.append(
            f"| `{declared.name}` | {_code(declared.aliases)} | {allowed_text(declared)} "
            f"| {f'`{default}`' if default else ''} | {declared.doc} |"
        )
    return "\n".join(lines) + "\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
