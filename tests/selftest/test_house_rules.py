"""Rules of the source tree that the linters cannot state."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SLICES = ROOT / "plugins" / "prefect_kernel_plugins"
LONGEST = 400
OWN_TO_A_SLICE = {"routes", "group"}


def foreign_imports(path: Path) -> list[tuple[str, str]]:
    """What a file of a slice imports from other slices: (module without the package's name, name)."""
    package = path.relative_to(SLICES).parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = (node.module or "").split(".") if node.module else []
        if node.level:
            module = [*package[: len(package) - node.level + 1], *module]
        elif module[:1] == ["prefect_kernel_plugins"]:
            module = module[1:]
        else:
            continue
        if module and package and module[0] != package[0]:
            found += [(".".join(module), alias.name) for alias in node.names]
    return found


def test_slices_import_no_private_names_and_no_routes_of_one_another() -> None:
    """What a slice takes from another has a public name, and is not its endpoints."""
    seen, offences = 0, []
    for path in SLICES.rglob("*.py"):
        for module, name in foreign_imports(path):
            seen += 1
            if any(part.startswith("_") for part in (*module.split("."), name)) or OWN_TO_A_SLICE & {
                *module.split(".")[1:],
                name,
            }:
                offences.append(f"{path.relative_to(ROOT)}: {module}.{name}")
    assert seen > 50
    assert offences == []


def test_files_stay_short() -> None:
    """A file that outgrows a few screens is split."""
    files = [path for root in ("core", "plugins") for path in (ROOT / root).rglob("*.py")]
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > 50
    assert {path: length for path, length in lengths.items() if length >= LONGEST} == {}
