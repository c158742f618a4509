"""`prefect-kernel-conformance`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from . import coverage, html, report, routes, world
from . import deviations as declared_deviations
from .databases import connect
from .judge import Judge
from .player import Side
from .run import Choice, Results, as_json, choose, declared_groups, play_all
from .servers import KERNEL_COMMAND, REFERENCE_COMMAND, Where, both_servers

REFERENCE_VARIABLE = "PREFECT_KERNEL_REFERENCE_PYTHON"
POSTGRES_VARIABLE = "PREFECT_KERNEL_CONFORMANCE_POSTGRES"


@click.command()
@click.option("--kernel", help="URL of the kernel's API, when it runs already.")
@click.option("--reference", help="URL of Python Prefect's API, when it runs already.")
@click.option("--kernel-db", help="URL of the kernel's database, for servers that run already.")
@click.option("--reference-db", help="URL of Python Prefect's database, for servers that run already.")
@click.option("--db", type=click.Choice(["sqlite", "postgres"]), default="sqlite", show_default=True)
@click.option(
    "--postgres",
    envvar=POSTGRES_VARIABLE,
    default="postgresql://postgres@127.0.0.1:5432/postgres",
    show_default=True,
    help="A PostgreSQL server on which databases may be created.",
)
@click.option(
    "--reference-python",
    envvar=REFERENCE_VARIABLE,
    default=sys.executable,
    help=f"An interpreter that has Prefect 3.8.8 (or {REFERENCE_VARIABLE}).",
)
@click.option("--kernel-command", default=KERNEL_COMMAND, show_default=True, help="How to start the kernel.")
@click.option("--against-itself", is_flag=True, help="Compare Python Prefect with Python Prefect: a test of the test.")
@click.option("--only", multiple=True, metavar="GROUP", help="Only this group (may be given several times).")
@click.option("--match", default="", help="Only cases whose name holds this.")
@click.option("--seed", default=0, show_default=True, help="Where the generators start.")
@click.option("--cases", default=100, show_default=True, help="Generated cases per group.")
@click.option(
    "--at-once", type=click.IntRange(1, 32), default=4, show_default=True, help="Generated cases played side by side."
)
@click.option("--generated-only", is_flag=True, help="Leave the hand-written sequences out.")
@click.option(
    "--share", type=click.FloatRange(0, 1), default=1.0, help="Which part of the hand-written sequences is played."
)
@click.option("--flows/--no-flows", default=False, help="Run flows with the real client, too.")
@click.option("--client-python", help="An interpreter with another version of Prefect, whose client runs the flows.")
@click.option("--rows/--no-rows", default=True, help="Compare rows of the databases, too.")
@click.option("--first", default=20, show_default=True, help="How many kinds of differences to show and shorten.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write a report.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the results as JSON.")
@click.option("--coverage/--no-coverage", "count_rules", default=True, help="Have the kernel count what rules do.")
@click.option("--keep", is_flag=True, help="Keep logs and SQLite files of servers started here.")
@click.option("--list", "list_only", is_flag=True, help="List the cases and end.")
def main(
    kernel: str | None,
    reference: str | None,
    kernel_db: str | None,
    reference_db: str | None,
    db: str,
    postgres: str,
    reference_python: str,
    kernel_command: str,
    against_itself: bool,
    only: tuple[str, ...],
    match: str,
    seed: int,
    cases: int,
    at_once: int,
    generated_only: bool,
    share: float,
    flows: bool,
    client_python: str | None,
    rows: bool,
    first: int,
    html_file: Path | None,
    json_file: Path | None,
    count_rules: bool,
    keep: bool,
    list_only: bool,
) -> None:
    """Play the same requests against Python Prefect 3.8.8 and the kernel, and show every difference.

    Without URLs, both servers are started on fresh databases. Ends with 0 only without unexplained differences.
    """
    if bool(kernel) != bool(reference):
        raise click.UsageError("Give both --kernel and --reference, or none of them.")
    if unknown := set(only) - {*declared_groups(), "client_flows"}:
        raise click.UsageError(f"There is no group {', '.join(sorted(unknown))}.")
    choice = Choice(only, match, seed, cases, sequences=not generated_only, share=share)
    chosen = choose(choice)
    if list_only:
        for case in chosen:
            click.echo(f"{case.group}.{case.name}  {case.title}")
        return
    # Being told to end is as good as an interrupt: what was found is still said, and the servers are ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        if kernel and reference:
            where = {"reference": Where(reference, reference_db), "kernel": Where(kernel, kernel_db)}
        else:
            command = REFERENCE_COMMAND.replace("{python}", reference_python) if against_itself else kernel_command
            where = stack.enter_context(
                both_servers(db, reference_python, command, postgres, keep=keep, count_rules=count_rules)
            )
        declared = declared_deviations.load()
        judges = []
        for _ in range(at_once):
            python = _side("reference", where["reference"], python=True)
            stack.callback(python.close)
            ours = _side("kernel", where["kernel"], python=against_itself)
            stack.callback(ours.close)
            judges.append(Judge(python, ours, declared, compare_databases=rows))
        judge = judges[0]
        if judge.has_databases and any(case.world for case in chosen):
            world.seed_both(judge)
        results = play_all(judges, chosen, show_progress=sys.stderr.isatty(), shorten=first)
        results.notes += _notes(judges, results)
        results.add_routes(
            routes.check(
                [side for one in judges for side in (one.reference, one.kernel)], declared_deviations.additions()
            )
        )
        if flows or "client_flows" in only:
            from .flows.harness import play_flows

            play_flows(judge, client_python or reference_python, results, match, old=client_python is not None)
        if count_rules:
            results.coverage = coverage.measured(judge.kernel.api_url) or []
    facts = {"database": db if not kernel else "as given", "seed": seed, "generated cases per group": cases}
    _say(results, first, whole=not only and not match)
    if html_file:
        html.write(html_file, results, declared, facts)
    if json_file:
        json_file.write_text(json.dumps({"facts": facts, **as_json(results)}, indent=2, default=str), encoding="utf-8")
    if results.different:
        sys.exit(1)


def _side(name: str, where: Where, *, python: bool) -> Side:
    """One server, on a connection of its own, also to its database."""
    database = connect(where.database_url) if where.database_url else None
    return Side(name, where.api_url, database, where.home, python=python)


def _notes(judges: Sequence[Judge], results: Results) -> Iterator[str]:
    """What else there is to say of the playing."""
    if locked := sum(side.locked for judge in judges for side in (judge.reference, judge.kernel)):
        yield f"Python Prefect found its database locked {locked} times, and was asked again."
    if repeated := sum(judge.repeated for judge in judges):
        yield f"{repeated} cases were played again, because it did not get over that."
    if results.unsteady:
        yield f"Cases that differed beside others, or once, and not when played again: {', '.join(results.unsteady)}."


def _say(results: Results, first: int, *, whole: bool) -> None:
    for line in (*report.table(results), *report.differences(results, first), *report.deviations(results)):
        click.echo(line)
    if results.coverage:
        for line in coverage.table(results.coverage):
            click.echo(line)
        click.echo()
    for line in results.routes.lines(whole) if results.routes else ():
        click.echo(line)
    for reason, count in results.skipped.items():
        click.echo(f"{count} cases were skipped: {reason}")
    for note in results.notes:
        click.echo(note)
    if not results.different:
        click.echo("No unexplained difference.")
