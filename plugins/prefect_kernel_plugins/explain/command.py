"""`prefect-kernel explain RUN`: asks a running server, and prints for a person."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import click

from prefect_kernel.errors import KernelError

SECONDS = 30.0
TYPES = ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING")


@click.command()
@click.argument("run", type=click.UUID)
@click.option("--propose", metavar="TYPE", type=click.Choice(TYPES, case_sensitive=False), help="Try this state.")
@click.option("--name", help="The name of the state that is tried.")
@click.option("--force", is_flag=True, help="Try it as a forced state.")
@click.option("--api", help="URL of the server's API. [PREFECT_API_URL, else from the server's settings]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(run: uuid.UUID, propose: str | None, name: str | None, force: bool, api: str | None, as_json: bool) -> None:
    """Say why a run (flow run or task run) was told what it was told, rule by rule.

    With --propose, say what would become of a state if it were proposed now; nothing is written.
    """
    server = Server(api or api_url())
    kind = server.kind_of(run)
    if propose:
        body = {"state": {"type": propose.upper(), **({"name": name} if name else {})}, "force": force}
        told = [server.ask("POST", f"/kernel/{kind}/{run}/explain", body)]
    else:
        told = server.ask("GET", f"/kernel/{kind}/{run}/trail")
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if not told:
        click.echo("This server remembers no decision about the run. Try: prefect-kernel explain RUN --propose RUNNING")
    for number, decision in enumerate(told):
        if number:
            click.echo()
        for line in lines(decision, tried=bool(propose)):
            click.echo(line)


def api_url() -> str:
    """Where the server is that commands ask."""
    import os

    from prefect_kernel.settings import load

    if url := os.environ.get("PREFECT_API_URL"):
        return url
    server = load().server.api
    return f"http://{server.host}:{server.port}{server.base_path or '/api'}"


class Server:
    """A server that is asked over HTTP."""

    def __init__(self, api: str) -> None:
        self.api = api.rstrip("/")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request. Raises KernelError with a sentence for a person."""
        data = None if body is None else json.dumps(body).encode()
        # Only http(s): the URL is the user's own setting, but `file:` would be no server.
        if not self.api.startswith(("http://", "https://")):
            raise KernelError(f"{self.api} is no URL of a server.")
        request = urllib.request.Request(self.api + path, data, self._headers(), method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            said = error.read().decode(errors="replace")[:300]
            raise KernelError(f"The server at {self.api} answered {error.code}: {said}") from error
        except (OSError, ValueError) as error:
            raise KernelError(f"The server at {self.api} does not answer: {error}") from error

    @staticmethod
    def _headers() -> dict[str, str]:
        import base64
        import os

        headers = {"content-type": "application/json"}
        if key := os.environ.get("PREFECT_API_KEY"):
            headers["authorization"] = f"Bearer {key}"
        elif text := os.environ.get("PREFECT_API_AUTH_STRING"):
            headers["authorization"] = f"Basic {base64.b64encode(text.encode()).decode()}"
        return headers

    def kind_of(self, run: uuid.UUID) -> str:
        """`flow_runs` or `task_runs`, whichever knows the id."""
        for kind in ("flow_runs", "task_runs"):
            if self.ask("GET", f"/{kind}/{run}") is not None:
                return kind
        raise KernelError(f"There is neither a flow run nor a task run with id {run} at {self.api}.")


MARKS = {"REJECT": "✗", "ABORT": "✗", "WAIT": "…", "changed": "~", "skipped": "-"}


def lines(told: dict[str, Any], *, tried: bool) -> Iterator[str]:
    """A decision, for a person."""
    verb = "would be" if tried else "was"
    what = {"ACCEPT": "accepted", "REJECT": "rejected", "ABORT": "aborted", "WAIT": "told to wait"}[told["verdict"]]
    head = f"{told['at']}  {told['from'] or 'no state'} → {told['to']} {verb} {what}"
    if told["delay_seconds"] is not None:
        head += f" {told['delay_seconds']} s"
    yield head + (f": {told['reason']}" if told["reason"] else ".")
    given = told["state"]
    yield f"  State written: {given['name']} ({given['type']})" if given else "  No state written."
    width = max((len(rule["rule"]) for rule in told["rules"]), default=0)
    policy = None
    for rule in told["rules"]:
        if rule["decision"] == "took part" and rule["policy"].startswith("global-"):
            continue  # bookkeeping, of which a real decision says nothing more
        if rule["policy"] != policy:
            policy = rule["policy"]
            yield f"  {policy}"
        note = rule["reason"] or ", ".join(rule["changes"] or ())
        line = (
            f"    {MARKS.get(rule['decision'], '·')} {rule['rule']:<{width}}  {rule['decision']:<9}  {rule['plugin']}"
        )
        yield line + (f"  {note}" if note else "")
