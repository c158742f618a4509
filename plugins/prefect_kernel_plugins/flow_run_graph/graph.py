"""Graphs of flow runs: their task runs and subflows, and what each of them was made from.

An edge leads from a run to one that takes its result; a run *encapsulates* those that are called within it (input
`__parents__`). As in the reference, a run is among the neighbours of another as often as there are inputs of both.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.match import document_text
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.wire import Field, Wire, json_text, stored_json

from ..artifacts.tables import artifact, artifact_collection
from ..flow_runs.tables import flow_run, flow_run_state
from ..task_runs.tables import task_run
from .group import group

_RUN_ID = sa.bindparam("run_id", type_=UUID())
_SINCE = sa.bindparam("since", type_=Timestamp())
_TIMES = Wire([Field("start_time", "time"), Field("end_time", "time")])
_RUN = Statement(
    sa.select(sa.func.coalesce(flow_run.c.start_time, flow_run.c.expected_start_time), flow_run.c.end_time).where(
        flow_run.c.id == _RUN_ID
    ),
    raw=True,
)


def _node_start() -> sa.ColumnElement[Any]:
    columns = [table.c[name] for table in (flow_run, task_run) for name in ("start_time", "expected_start_time")]
    return sa.func.coalesce(*columns)


def _node_end() -> sa.ColumnElement[Any]:
    completed = sa.case((task_run.c.state_type == sa.literal_column("'COMPLETED'"), task_run.c.expected_start_time))
    return sa.func.coalesce(flow_run.c.end_time, task_run.c.end_time, completed)


_NODES = task_run.outerjoin(flow_run, flow_run.c.parent_task_run_id == task_run.c.id)
_NODE_WHERE = [task_run.c.flow_run_id == _RUN_ID, _node_start().is_not(None)]
_MOST = sa.bindparam("most", type_=sa.Integer())
_NUMBER = Statement(
    sa.select(sa.func.count()).select_from(
        sa.select(sa.literal_column("1"))
        .select_from(_NODES)
        .where(*_NODE_WHERE, sa.or_(_node_end().is_(None), _node_end() >= _SINCE))
        .limit(_MOST)
        .subquery("nodes")
    ),
    raw=True,
)
"""How many nodes there are, counted up to `most`: what is too large is not read."""

_EACH = {"sqlite": "json_each", "postgresql": "jsonb_each"}
_ITEMS = {"sqlite": "json_each(input.value)", "postgresql": "jsonb_array_elements(input.value)"}


def _neighbours(dialect: str, of: str, to: str, kind: str, name: str) -> str:
    """The runs on the other end of edges, as a list per run."""
    if dialect == "sqlite":
        collected = f"json_group_array({to}.id)"
        condition = "children.within IS 1" if kind == "within" else "children.within IS NOT 1"
    else:
        collected = f"array_agg({to}.id ORDER BY {to}.start_time)"
        condition = "children.within IS TRUE" if kind == "within" else "children.within IS NOT TRUE"
    join = f"edges AS {of} JOIN edges AS {to} ON parents.id = children.parent"
    return f"{name} AS (SELECT {of}.id, {collected} AS ids FROM {join} WHERE {condition} GROUP BY {of}.id)"


def _graph(dialect: str) -> str:
    start = "coalesce(run.start_time, run.expected_start_time, task.start_time, task.expected_start_time)"
    parent = "argument.value ->> 'id'"
    if dialect == "postgresql":
        parent = f"CAST({parent} AS uuid)"
    return f"""
    WITH edges AS (
        SELECT CASE WHEN run.id IS NOT NULL THEN 'flow-run' ELSE 'task-run' END AS kind,
               coalesce(run.id, task.id) AS id,
               coalesce(flow.name || ' / ' || run.name, task.name) AS label,
               coalesce(run.state_type, task.state_type) AS state_type,
               {start} AS start_time,
               coalesce(run.end_time, task.end_time,
                        CASE WHEN task.state_type = 'COMPLETED' THEN task.expected_start_time END) AS end_time,
               {parent} AS parent,
               input.key = '__parents__' AS within
          FROM task_run AS task
          LEFT JOIN {_EACH[dialect]}(task.task_inputs) AS input ON true
          LEFT JOIN {_ITEMS[dialect]} AS argument{"(value)" if dialect == "postgresql" else ""} ON true
          LEFT JOIN flow_run AS run ON run.parent_task_run_id = task.id
          LEFT JOIN flow ON flow.id = run.flow_id
         WHERE task.flow_run_id = :run_id AND {start} IS NOT NULL
         ORDER BY coalesce(run.id, task.id)
    ),
    {_neighbours(dialect, "children", "parents", "within", "encapsulating")},
    {_neighbours(dialect, "children", "parents", "result", "before")},
    {_neighbours(dialect, "parents", "children", "result", "after")},
    nodes AS (
        SELECT DISTINCT {"ON (edges.id)" if dialect == "postgresql" else ""}
               edges.kind, edges.id, edges.label, edges.state_type, edges.start_time, edges.end_time,
               before.ids AS parents, after.ids AS children, encapsulating.ids AS encapsulating
          FROM edges
          LEFT JOIN before ON before.id = edges.id
          LEFT JOIN after ON after.id = edges.id
          LEFT JOIN encapsulating ON encapsulating.id = edges.id
    )
    SELECT kind, id, label, state_type, start_time, end_time, parents, children, encapsulating
      FROM nodes WHERE end_time IS NULL OR end_time >= :since ORDER BY start_time, end_time
    """


def _text(dialect: str) -> sa.TextClause:
    return sa.text(_graph(dialect)).bindparams(_RUN_ID, _SINCE)


_GRAPH = Statement(by_dialect(sqlite=_text("sqlite"), postgresql=_text("postgresql")), raw=True)

_ARTIFACTS = Statement(
    sa.select(
        artifact.c.task_run_id,
        artifact.c.id,
        artifact.c.created,
        artifact.c.key,
        artifact.c.type,
        sa.or_(artifact.c.key.is_(None), artifact_collection.c.id.is_not(None)),
        sa.case((artifact.c.type == sa.literal_column("'progress'"), document_text(artifact.c.data))),
    )
    .select_from(
        artifact.outerjoin(
            artifact_collection,
            sa.and_(artifact_collection.c.key == artifact.c.key, artifact_collection.c.latest_id == artifact.c.id),
        )
    )
    .where(artifact.c.flow_run_id == _RUN_ID, artifact.c.type != sa.literal_column("'result'"))
    .order_by(artifact.c.created)
    .limit(_MOST),
    raw=True,
)
_STATES = Statement(
    sa.select(flow_run_state.c.id, flow_run_state.c.timestamp, flow_run_state.c.type, flow_run_state.c.name)
    .where(flow_run_state.c.flow_run_id == _RUN_ID)
    .order_by(flow_run_state.c.timestamp),
    raw=True,
)


def _ids(cell: Any) -> list[str]:
    if cell is None:
        return []
    ids: list[str] = orjson.loads(cell) if isinstance(cell, str) else [str(id) for id in cell]
    return ids


def _edges(cell: Any) -> str:
    return "[" + ",".join([f'{{"id":"{id}"}}' for id in _ids(cell)]) + "]"


def _distinct_edges(cell: Any) -> str:
    return "[" + ",".join([f'{{"id":"{id}"}}' for id in dict.fromkeys(_ids(cell))]) + "]"


_NODE = Wire(
    [
        Field("kind", "word"),
        Field("id", "word"),
        Field("label", "text"),
        Field("state_type", "word"),
        Field("start_time", "time"),
        Field("end_time", "time"),
        Field("parents", _edges),
        Field("children", _edges),
        Field("encapsulating", _distinct_edges),
    ]
)
_ARTIFACT = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("key", "text"),
        Field("type", "text"),
        Field("is_latest", "bool"),
        Field("data", lambda cell: stored_json(cell) if cell is None or isinstance(cell, str) else json_text(cell)),
    ]
)
_STATE = Wire([Field("id", "word"), Field("timestamp", "time"), Field("type", "word"), Field("name", "text")])


def graph_of(dialect: str, run_id: str, since: datetime, max_nodes: int, max_artifacts: int) -> Unit[bytes]:
    """The graph of a flow run as JSON. Raises ObjectNotFound, and BadRequest for one that is too large."""
    found = yield _RUN(run_id=run_id)
    if not found:
        raise errors.ObjectNotFound(f"Flow run {run_id} not found")
    number = yield _NUMBER(run_id=run_id, since=since, most=max_nodes + 1)
    if number[0][0] > max_nodes:
        raise errors.BadRequest(f"The graph of flow run {run_id} has more than {max_nodes} nodes.")
    rows = yield _GRAPH(run_id=run_id, since=since)
    artifacts = yield _ARTIFACTS(run_id=run_id, most=max_artifacts)
    states = yield _STATES(run_id=run_id)

    now = datetime.now(UTC)
    encode = _ARTIFACT.encoder(dialect)
    of_node: dict[str | None, list[str]] = {}
    for task_run_id, *cells in artifacts:
        of_node.setdefault(task_run_id, []).append(encode(cells, now))

    def shown(id: str | None) -> str:
        return "[" + ",".join(of_node.get(id, ())) + "]"

    node = _NODE.encoder(dialect)
    nodes = [f'["{row[1]}",{node(row, now)[:-1]},"artifacts":{shown(row[1])}}}]' for row in rows]
    roots = [f'"{row[1]}"' for row in rows if not row[6]]
    text = (
        f"{_TIMES.encoder(dialect)(found[0], now)[:-1]},"
        f'"root_node_ids":[{",".join(roots)}],"nodes":[{",".join(nodes)}],"artifacts":{shown(None)},'
    )
    return text.encode() + b'"states":' + _STATE.many(dialect, states, now) + b"}"


class Since(BaseModel):
    """Query of the second version's graph."""

    since: AwareDatetime = datetime(1, 1, 1, tzinfo=UTC)


@group.get("/{id:uuid}/graph-v2", permission="read", query=Since, response="Graph")
async def read_flow_run_graph_v2(request: web.Request) -> web.Reply:
    """The graph of a flow run; with `since`, of what has not ended before that time."""
    kernel = request.kernel
    limits = kernel.settings.server.flow_run_graph
    try:
        since = request.query.since.astimezone(UTC)
    except OverflowError:
        raise errors.Unprocessable("The time is out of range.") from None
    return web.raw(
        await kernel.storage.read(
            graph_of, kernel.storage.dialect, request.path["id"], since, limits.max_nodes, limits.max_artifacts
        )
    )
