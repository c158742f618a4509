"""`prefect-kernel why RUN`: asks a running server, and prints for a person."""

from __future__ import annotations

import json
import uuid

import click

from prefect_kernel.errors import KernelError

from ..explain.command import Server, api_url


@click.command()
@click.argument("run", type=click.UUID)
@click.option("--api", help="URL of the server's API. [PREFECT_API_URL, else from the server's settings]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def why(run: uuid.UUID, api: str | None, as_json: bool) -> None:
    """Say why a flow run is late, waits or is stuck."""
    server = Server(api or api_url())
    told = server.ask("GET", f"/kernel/flow_runs/{run}/why")
    if told is None:
        raise KernelError(f"There is no flow run with id {run} at {server.api}.")
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    click.echo(f"Flow run {told['name']}: {told['state_name'] or 'no state'} since {told['since'] or 'ever'}")
    for cause in told["causes"]:
        click.echo(f"  {'✗' if cause['blocking'] else '·'} {cause['sentence']}")
