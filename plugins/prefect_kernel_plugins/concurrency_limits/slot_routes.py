"""Routes by which old clients take slots for the tags of a task run, and give them back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import errors, web
from prefect_kernel.declare import Declared, carry_out, follow_up
from prefect_kernel.sql import Unit

from ..concurrency_limits_v2 import slots
from ..concurrency_limits_v2.slot_units import named
from . import old
from .group import group
from .queries import PREFIX, note_holder
from .schemas import SlotsOfTaskRun

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

Shown = list[dict[str, Any]]


def _reached(kernel: Kernel, tag: str) -> errors.Locked:
    wait = kernel.settings.server.tasks.tag_concurrency_slot_wait_seconds
    return errors.Locked(wait, f"Concurrency limit for the {tag} tag has been reached")


def _minimal(limit: dict[str, Any], name: str, number: str = "limit") -> dict[str, Any]:
    return {"id": limit["id"], "name": name, "limit": limit[number]}


def _limits_of(tags: list[str]) -> Unit[tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]]:
    """The limits of tags, and the old ones, by tag."""
    limits = yield from named([f"{PREFIX}{tag}" for tag in tags])
    before = yield from old.of_tags(tags)
    return (
        {limit["name"].removeprefix(PREFIX): limit for limit in limits},
        {limit["tag"]: limit for limit in before},
    )


def take(kernel: Kernel, body: SlotsOfTaskRun, now: datetime) -> Unit[tuple[Shown, Declared]]:
    """Take a slot of each tag that has a limit, or none. Raises Locked."""
    limits, before = yield from _limits_of(body.names)
    for tag in body.names:
        limit = limits.get(tag)
        if limit["limit"] == 0 if limit is not None else tag in before and before[tag]["concurrency_limit"] == 0:
            raise errors.Locked(
                None, f'The concurrency limit on tag "{tag}" is 0 and will deadlock if the task tries to run again.'
            )
    declared = Declared()
    wanted, shown, old_shown = [], [], []
    for tag in body.names:
        limit = limits.get(tag)
        if limit is not None and limit["active"]:
            wanted.append(tag)
            shown.append(_minimal(limit, tag))
        elif tag in before:
            holders = before[tag]["active_slots"]
            if len(holders) >= before[tag]["concurrency_limit"]:
                raise _reached(kernel, tag)
            declared.write(
                old.set_holders(before[tag], list(dict.fromkeys([*holders, str(body.task_run_id)])), now), expect=1
            )
            old_shown.append(_minimal(before[tag], tag, "concurrency_limit"))
    if wanted:
        # A tag that is named twice cannot have two slots: as in the reference, it then has none.
        if len(set(wanted)) < len(wanted) or not (yield from slots.have_room([limits[tag] for tag in wanted], 1, now)):
            raise _reached(kernel, wanted[0])
        ids = [limits[tag]["id"] for tag in wanted]
        declared.write(slots.acquire(kernel.settings, ids, 1, now), expect=len(ids))
        note_holder(kernel, declared, ids, str(body.task_run_id), now)
    yield from carry_out(declared.writes, last=True)
    return shown + old_shown, declared


def give_back(kernel: Kernel, body: SlotsOfTaskRun, now: datetime) -> Unit[tuple[Shown, Declared]]:
    """Give back what a task run holds on the limits of these tags."""
    limits, before = yield from _limits_of(body.names)
    declared = Declared()
    run_id = str(body.task_run_id)
    ids = [limit["id"] for limit in limits.values()]
    for lease in (yield from kernel.leases.of_holder(run_id, ids, now)) if ids else ():
        declared.write(slots.release(kernel.settings, list(lease.limit_ids), lease.slots, now))
        kernel.leases.revoke(declared, lease.id, lease)
    shown = [_minimal(limit, limit["name"]) for limit in limits.values()]
    for tag, limit in before.items():
        if tag not in limits and run_id in limit["active_slots"]:
            declared.write(old.set_holders(limit, [held for held in limit["active_slots"] if held != run_id], now))
            shown.append(_minimal(limit, tag, "concurrency_limit"))
    yield from carry_out(declared.writes, last=True)
    return shown, declared


@group.post(
    "/increment", permission="run", body=SlotsOfTaskRun, embed=True, response="MinimalConcurrencyLimitResponse[]"
)
async def increment_concurrency_limits_v1(request: web.Request, body: SlotsOfTaskRun) -> web.Reply:
    """Take a slot for each tag of a task run; 423 when one is not to be had now."""
    kernel = request.kernel
    shown, declared = await kernel.storage.write(take, kernel, body, kernel.clock.now())
    await follow_up(declared.on_commit)
    return web.json(shown)


@group.post(
    "/decrement", permission="run", body=SlotsOfTaskRun, embed=True, response="MinimalConcurrencyLimitResponse[]"
)
async def decrement_concurrency_limits_v1(request: web.Request, body: SlotsOfTaskRun) -> web.Reply:
    """Give back the slots of a task run."""
    kernel = request.kernel
    shown, declared = await kernel.storage.write(give_back, kernel, body, kernel.clock.now())
    await follow_up(declared.on_commit)
    return web.json(shown)
