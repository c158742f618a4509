"""What most sequences begin with: flows, runs, and the things that the routes under test do not make."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script


def flow(s: Script, **more: Any) -> Ref:
    """A flow of its own."""
    return s.post("/flows/", {"name": s.name(f"flow-{len(s.steps)}"), **more})


def flow_run(s: Script, parent: Ref | None = None, **more: Any) -> Ref:
    """A flow run; PENDING unless told otherwise."""
    parent = parent or flow(s)
    return s.post("/flow_runs/", {"flow_id": parent["id"], "name": s.name("run"), **more})


def state(type_: str, name: str | None = None, /, **more: Any) -> dict[str, Any]:
    """The body of a state; what is not given is left out."""
    return {"type": type_, **({} if name is None else {"name": name}), **more}


def set_state(s: Script, run: Ref, type_: str, name: str | None = None, /, *, force: Any = None, **more: Any) -> Ref:
    """Propose a state for a flow run."""
    return propose(s, f"/flow_runs/{run['id']}/set_state", state(type_, name, **more), force)


def set_task_state(
    s: Script, run: Ref, type_: str, name: str | None = None, /, *, force: Any = None, **more: Any
) -> Ref:
    """Propose a state for a task run."""
    return propose(s, f"/task_runs/{run['id']}/set_state", state(type_, name, **more), force)


def propose(s: Script, path: str, proposed: dict[str, Any], force: Any, **options: Any) -> Ref:
    """Propose a state."""
    return s.post(path, {"state": proposed, **({} if force is None else {"force": force})}, **options)


def flow_run_in(s: Script, type_: str, /, **more: Any) -> Ref:
    """A flow run that was forced into a state. Python Prefect cannot create one with a result in its first state."""
    run = flow_run(s)
    set_state(s, run, type_, force=True, **more)
    return run


def task_run_in(s: Script, parent: Ref, key: str, type_: str, /, **more: Any) -> Ref:
    """A task run that was forced into a state, for the same reason."""
    run = task_run(s, parent, dynamic_key=key)
    set_task_state(s, run, type_, force=True, **more)
    return run


def walk(s: Script, run: Ref, *types: str) -> None:
    """Take a flow run through states."""
    for type_ in types:
        set_state(s, run, type_)


def task_run(s: Script, parent: Ref | None = None, **more: Any) -> Ref:
    """A task run, without a flow run unless one is given."""
    body = {"flow_run_id": parent["id"] if parent else None, "task_key": s.name("task"), "dynamic_key": "0", **more}
    return s.post("/task_runs/", body)


def history(s: Script, run: Ref) -> None:
    """Read a flow run and all its states."""
    s.get(f"/flow_runs/{run['id']}")
    s.get(f"/flow_run_states/?flow_run_id={run['id']}")


def task_history(s: Script, run: Ref) -> None:
    """Read a task run and all its states."""
    s.get(f"/task_runs/{run['id']}")
    s.get(f"/task_run_states/?task_run_id={run['id']}")


def work_pool(s: Script, **more: Any) -> tuple[Ref, Ref]:
    """A work pool with its default queue."""
    pool = s.seed("work_pool", **{
        "name": s.name("pool"), "type": "process", "base_job_template": {}, "status": "NOT_READY", "is_paused": False,
        "storage_configuration": {}, **more,
    })  # fmt: skip
    queue = s.seed("work_queue", name="default", priority=1, work_pool_id=pool["id"], status="NOT_READY")
    s.update("work_pool", {"id": pool["id"]}, default_queue_id=queue["id"])
    return pool, queue


def deployment(s: Script, parent: Ref, **more: Any) -> Ref:
    """A deployment of a flow, without a work pool unless a queue is given."""
    return s.seed("deployment", **{
        "name": s.name(f"deployment-{len(s.steps)}"), "flow_id": parent["id"], "tags": [], "parameters": {},
        "paused": False,
        "parameter_openapi_schema": {"type": "object", "properties": {}}, "infra_overrides": {}, "labels": {},
        "enforce_parameter_schema": False, "status": "NOT_READY", **more,
    })  # fmt: skip


def limit(s: Script, slots: int, **more: Any) -> Ref:
    """A global concurrency limit."""
    return s.seed("concurrency_limit_v2", **{
        "name": s.name(f"limit-{len(s.steps)}"), "limit": slots, "active": True, "active_slots": 0, "denied_slots": 0,
        "slot_decay_per_second": 0.0, "avg_slot_occupancy_seconds": 2.0, **more,
    })  # fmt: skip


def limited_deployment(s: Script, parent: Ref, slots: int, strategy: str | None = None, **more: Any) -> tuple[Ref, Ref]:
    """A deployment with a limit of its own, and that limit."""
    of_deployment = limit(s, slots)
    options = None if strategy is None else {"collision_strategy": strategy}
    made = deployment(
        s,
        parent,
        concurrency_limit=slots,
        concurrency_limit_id=of_deployment["id"],
        concurrency_options=options,
        **more,
    )
    return made, of_deployment


def slots(s: Script, of: Ref) -> None:
    """How many slots of a limit are taken."""
    s.rows("concurrency_limit_v2", columns=["limit", "active", "active_slots", "denied_slots"], id=of["id"])


def block_type(s: Script, **more: Any) -> Ref:
    """A block type."""
    return s.post("/block_types/", {
        "name": s.name(f"Block {len(s.steps)}"), "slug": s.name(f"block-{len(s.steps)}"), **more,
    })  # fmt: skip


def block_schema(s: Script, of: Ref, fields: dict[str, Any] | None = None, **more: Any) -> Ref:
    """A schema of a block type, like no other unless `fields` are given."""
    made = {"title": s.name(f"Schema {len(s.steps)}"), "type": "object", "properties": {}} if fields is None else fields
    return s.post("/block_schemas/", {"fields": made, "block_type_id": of["id"], "capabilities": [], **more})


def block_document(s: Script, of: Ref, schema: Ref, data: dict[str, Any], **more: Any) -> Ref:
    """A block document."""
    return s.post("/block_documents/", {
        "name": s.name(f"document-{len(s.steps)}"), "data": data, "block_type_id": of["id"],
        "block_schema_id": schema["id"], **more,
    })  # fmt: skip
