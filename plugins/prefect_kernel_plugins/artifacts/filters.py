"""What lists of artifacts and of collections can be filtered by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel.filtering import AnyOf, Clause, Exists, Flag, Like, Node, NoneOf, Subject

from ..deployments.filters import DEPLOYMENT_FILTER
from ..deployments.tables import deployment
from ..flow_runs.filters import FLOW_RUN_FILTER
from ..flow_runs.tables import flow_run
from ..flows.filters import FLOW_FILTER
from ..flows.tables import flow
from ..task_runs.filters import TASK_RUN_FILTER
from ..task_runs.tables import task_run
from .tables import artifact, artifact_collection

_ACCEPTS = ["artifacts", "flow_runs", "task_runs", "flows", "deployments"]


def _filter(title: str, table: sa.Table, id: str) -> Node:
    key = table.c.key
    members: dict[str, Any] = {id: Node(any_=AnyOf(table.c[id], UUID))}
    return Node(
        title,
        operator=True,
        **members,
        key=Node(any_=AnyOf(key), like_=Like(key), exists_=Flag(key.is_not(None), key.is_(None))),
        flow_run_id=Node(any_=AnyOf(table.c.flow_run_id, UUID)),
        task_run_id=Node(any_=AnyOf(table.c.task_run_id, UUID)),
        type=Node(any_=AnyOf(table.c.type), not_any_=NoneOf(table.c.type)),
    )


def _given(used: Mapping[str, Clause | None]) -> list[Clause]:
    return [clause for clause in used.values() if clause is not None]


def _of_flow_run(table: sa.Table) -> Exists:
    def exists(used: Mapping[str, Clause | None]) -> Clause:
        source: sa.FromClause = flow_run
        if "flows" in used:
            source = source.join(flow, flow.c.id == flow_run.c.flow_id)
        if "deployments" in used:
            source = source.join(deployment, deployment.c.id == flow_run.c.deployment_id)
        return sa.exists().select_from(source).where(flow_run.c.id == table.c.flow_run_id, *_given(used))

    return exists


def _of_task_run(table: sa.Table) -> Exists:
    return lambda used: sa.exists().where(task_run.c.id == table.c.task_run_id, *_given(used))


def _subject(node: Node, table: sa.Table) -> Subject:
    subject = Subject("artifacts", node, _ACCEPTS)
    subject.relate(
        {"flow_runs": FLOW_RUN_FILTER, "flows": FLOW_FILTER, "deployments": DEPLOYMENT_FILTER},
        _of_flow_run(table),
        {"flow_runs": table.c.flow_run_id},
    )
    subject.relate({"task_runs": TASK_RUN_FILTER}, _of_task_run(table), {"task_runs": table.c.task_run_id})
    return subject


ARTIFACTS = _subject(_filter("ArtifactFilter", artifact, "id"), artifact)
"""Lists of artifacts."""

COLLECTIONS = _subject(_filter("ArtifactCollectionFilter", artifact_collection, "latest_id"), artifact_collection)
"""Lists of the latest artifacts of keys."""
