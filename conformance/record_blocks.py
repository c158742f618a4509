"""Records the block types that the reference registers at its start: `REFERENCE_PYTHON conformance/record_blocks.py`.

Run with an interpreter that has Prefect 3.8.8. A server of it is started on a fresh SQLite database, and what it has
put into the tables of blocks is written to `plugins/prefect_kernel_plugins/blocks/`: `builtin.json.gz` has everything,
`builtin_index.json` what is enough to see that a database has it all. The views of collections that Prefect ships are
written to `plugins/prefect_kernel_plugins/collections/`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from html import unescape
from pathlib import Path
from typing import Any

PLUGINS = Path(__file__).parent.parent / "plugins" / "prefect_kernel_plugins"
START_SECONDS = 120
TYPE_COLUMNS = "slug name logo_url documentation_url description code_example is_protected".split()


def main() -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as home:
        start_and_stop(home)
        facts = registered(Path(home) / "prefect.db")
    write(PLUGINS / "blocks" / "builtin.json.gz", facts)
    index = {
        "types": {one["slug"]: digest(one) for one in facts["types"]},
        "schemas": [f"{one['checksum']} {one['version']}" for one in facts["schemas"]],
    }
    (PLUGINS / "blocks" / "builtin_index.json").write_text(json.dumps(index, indent=0) + "\n", encoding="utf-8")
    for view, content in views().items():
        write(PLUGINS / "collections" / f"{view}.json.gz", content)
    print({name: len(rows) for name, rows in facts.items()})


def start_and_stop(home: str) -> None:
    """Let a server of the reference register its blocks in a directory."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui", "--no-services"]
    environment = {**kept, "PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.3)
        server.terminate()


def registered(database: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables of blocks, in the order in which they were made; ids replaced by what they stand for."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    types = connection.execute("SELECT * FROM block_type ORDER BY created").fetchall()
    schemas = connection.execute("SELECT * FROM block_schema ORDER BY created").fetchall()
    references = connection.execute("SELECT * FROM block_schema_reference ORDER BY created").fetchall()
    slugs = {row["id"]: row["slug"] for row in types}
    places = {row["id"]: number for number, row in enumerate(schemas)}
    return {
        "types": [
            {**{name: row[name] for name in TYPE_COLUMNS}, "is_protected": bool(row["is_protected"])} for row in types
        ],
        "schemas": [
            {
                "type": slugs[row["block_type_id"]],
                "checksum": row["checksum"],
                "version": row["version"],
                "capabilities": json.loads(row["capabilities"]),
                "fields": json.loads(row["fields"]),
            }
            for row in schemas
        ],
        "references": [
            {
                "name": row["name"],
                "parent": places[row["parent_block_schema_id"]],
                "child": places[row["reference_block_schema_id"]],
            }
            for row in references
        ],
    }


def digest(one: dict[str, Any]) -> str:
    """What a type's row is compared by; the reference escapes texts at creation, and not when it updates them."""
    texts = [unescape(str(one[name])) for name in TYPE_COLUMNS]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def views() -> dict[str, Any]:
    """The views of collections that the reference has without a network."""
    import prefect.server

    server = Path(prefect.server.__file__).parent
    shipped = (server / "api" / "collections_data" / "views").glob("*.json")
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in shipped}
    blocks = json.loads((server / "collection_blocks_data.json").read_text(encoding="utf-8"))
    return {"aggregate-block-metadata": blocks["collections"], **found}


def write(path: Path, content: Any) -> None:
    """Write compressed JSON, the same bytes for the same content."""
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main()
