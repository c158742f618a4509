"""Why a run does not go on, in words and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ..work_pools.readiness import HEALTHY
from . import CLAIM, HEARTBEAT

Cause = dict[str, Any]
"""`cause` (its name), `blocking` (whether it alone keeps the run from going on), `sentence`, and facts."""


def _cause(name: str, sentence: str, *, blocking: bool = True, **facts: Any) -> Cause:
    return {"cause": name, "blocking": blocking, "sentence": sentence, **facts}


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _long(duration: timedelta) -> str:
    """A duration in its two largest units."""
    seconds = max(0, round(duration.total_seconds()))
    parts = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def _holders(rows: list[Any]) -> list[dict[str, Any]]:
    return [
        {"flow_run_id": id, "name": name, "state_name": state_name, "since": since}
        for id, name, state_name, since in rows
    ]


def _held_by(rows: list[Any]) -> str:
    if not rows:
        return ""
    names = ", ".join(f"{name} ({state_name})" for _, name, state_name, _ in rows[:3])
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return f" Held by {names}{more}."


def causes(facts: dict[str, Any], settings: Any, now: datetime) -> list[Cause]:
    """All causes, the blocking ones first; never empty."""
    kinds = {
        "SCHEDULED": _scheduled,
        "PENDING": _pending,
        "RUNNING": _running,
        "PAUSED": _paused,
        "CANCELLING": _cancelling,
    }
    kind = facts["run"]["state_type"]
    if kind is None:
        found = [_cause("no-state", "This flow run has no state yet; who made it has to give it one.")]
    elif kind not in kinds:
        found = [_cause("ended", f"This flow run has ended: it is {facts['run']['state_name']}.")]
    else:
        found = list(kinds[kind](facts, settings, now))
    return sorted(found, key=lambda cause: not cause["blocking"])


# ---------------------------------------------------------------- scheduled
def _scheduled(facts: dict[str, Any], settings: Any, now: datetime) -> Iterator[Cause]:
    run = facts["run"]
    due = run["next_scheduled_start_time"] or facts["details"].get("scheduled_time") or run["state_timestamp"]
    if due > now:
        yield _early(run, due, now)
    if (run["empirical_policy"] or {}).get("retry_type") == "in_process":
        text = "It is retried by the process that runs it; workers leave it alone."
        if due < now:
            text += f" That should have been {_long(now - due)} ago: if the process has died, nobody else will."
        yield _cause("retry-in-process", text, due=due)
        return  # whatever is said of workers is nothing to it
    schedule = facts.get("schedule")
    if schedule is not None and not schedule["active"]:
        gone = "is paused" if schedule["active"] is False else "was deleted"
        yield _cause(
            "schedule-paused", f"The schedule that made it {gone}.", blocking=False, schedule_id=schedule["id"]
        )
    deployment = facts["deployment"]
    if deployment is not None and deployment["paused"]:
        text = f"Deployment {deployment['name']} is paused: its schedules make no more runs."
        yield _cause("deployment-paused", text, blocking=False, deployment_id=deployment["id"])
    blocked = [*_limit(facts), *_place(facts, now)]
    yield from blocked
    if due <= now and not any(cause["blocking"] for cause in blocked):
        late = f"It is {_long(now - due)} late. " if now - due > timedelta(seconds=1) else ""
        yield _cause(
            "ready", late + "Nothing holds it back: whoever asks for work next gets it.", blocking=False, due=due
        )


def _early(run: dict[str, Any], due: datetime, now: datetime) -> Cause:
    when = f"{_at(due)}, in {_long(due - now)}"
    if run["state_name"] == "AwaitingConcurrencySlot":
        text = f"Its deployment's concurrency limit was reached; it is tried again at {when}."
        return _cause("awaiting-concurrency-slot", text, due=due)
    if run["state_name"] == "AwaitingRetry":
        return _cause("awaiting-retry", f"It has failed, and is retried at {when}.", due=due)
    return _cause("scheduled-later", f"It is scheduled for {when}.", due=due)


def _limit(facts: dict[str, Any]) -> Iterator[Cause]:
    limit, deployment = facts["limit"], facts["deployment"]
    if limit is None or not limit["active"] or limit["active_slots"] < limit["limit"]:
        return
    rows = limit.get("holders", [])
    text = f"The concurrency limit of deployment {deployment['name']} is reached: {limit['active_slots']} of"
    yield _cause(
        "deployment-limit-full",
        f"{text} {limit['limit']} slots are taken.{_held_by(rows)}",
        limit_id=limit["id"],
        limit=limit["limit"],
        active_slots=limit["active_slots"],
        holders=_holders(rows),
    )


def _place(facts: dict[str, Any], now: datetime) -> Iterator[Cause]:
    """What is in the way in the work pool, or where runs are served without one."""
    pool, queue, deployment = facts["pool"], facts["queue"], facts["deployment"]
    if queue is None or pool is None:
        if deployment is None:
            text = "It belongs to no deployment and no work pool: only the process that made it can start it."
            yield _cause("nobody-asks", text)
        elif deployment["last_polled"] is None or now - deployment["last_polled"] > timedelta(seconds=HEALTHY):
            asked = "never" if deployment["last_polled"] is None else f"last at {_at(deployment['last_polled'])}"
            text = f"Nobody serves deployment {deployment['name']}: it was {asked} asked for."
            yield _cause("not-served", text, deployment_id=deployment["id"], last_polled=deployment["last_polled"])
        return
    if pool["is_paused"]:
        yield _cause("work-pool-paused", f"Work pool {pool['name']} is paused.", work_pool_id=pool["id"])
    if queue["is_paused"]:
        text = f"Work queue {queue['name']} of work pool {pool['name']} is paused."
        yield _cause("work-queue-paused", text, work_queue_id=queue["id"])
    for name, what in (("pool", f"Work pool {pool['name']}"), ("queue", f"Work queue {queue['name']}")):
        place = facts[name]
        if place["concurrency_limit"] is not None and place["held"] >= place["concurrency_limit"]:
            text = f"{what} has reached its concurrency limit: {place['held']} of {place['concurrency_limit']} slots"
            yield _cause(
                f"work-{name}-limit-full",
                f"{text} are taken.{_held_by(place['holders'])}",
                **{f"work_{name}_id": place["id"]},
                limit=place["concurrency_limit"],
                active_slots=place["held"],
                holders=_holders(place["holders"]),
            )
    yield from _nobody_there(facts, now)


def _nobody_there(facts: dict[str, Any], now: datetime) -> Iterator[Cause]:
    pool, queue = facts["pool"], facts["queue"]
    online, known, last = facts["workers"]
    polled = queue["last_polled"]
    asks = polled is not None and now - polled <= timedelta(seconds=HEALTHY)
    if not online and not asks:
        text = f"No worker is online in work pool {pool['name']}"
        text += f"; the last one was heard of at {_at(last)}." if known else ", and none ever was."
        yield _cause("no-worker-online", text, work_pool_id=pool["id"], last_heartbeat=last)
    elif not asks:
        asked = "nobody has ever asked" if polled is None else f"nobody has asked since {_at(polled)}"
        text = f"Workers are online in work pool {pool['name']}, but {asked} for work queue {queue['name']}."
        yield _cause("work-queue-not-polled", text, work_queue_id=queue["id"], last_polled=polled)


# ---------------------------------------------------------------- the other states
def _pending(facts: dict[str, Any], settings: Any, now: datetime) -> Iterator[Cause]:
    run, pool = facts["run"], facts["pool"]
    since = run["state_timestamp"]
    who = facts["worker"] or (f"a worker of work pool {pool['name']}" if pool is not None else "a process")
    text = f"It was claimed by {who} at {_at(since)}, {_long(now - since)} ago, "
    facts_ = {"since": since, "worker": facts["worker"], "infrastructure_pid": run["infrastructure_pid"]}
    if run["infrastructure_pid"] is not None:
        text += f"and launched as {run['infrastructure_pid']}, but its process has not begun to run it yet."
        yield _cause("launched-not-started", text, **facts_)
    else:
        yield _cause("claimed", text + "and has not been started yet.", **facts_)
    yield from _offline(facts)
    seconds = settings.plugin[CLAIM]
    if pool is not None and run["infrastructure_pid"] is None:
        if seconds:
            until = since + timedelta(seconds=seconds)
            text = f"If it is not launched by {_at(until)}, it can be claimed by others."
            yield _cause("claim-deadline", text, blocking=False, until=until)
        else:
            text = f"Claims do not run out here ({CLAIM} is 0): if who claimed it has died, it stays pending."
            yield _cause("no-claim-deadline", text, blocking=False)


def _offline(facts: dict[str, Any]) -> Iterator[Cause]:
    if facts["pool"] is not None and not facts["workers"][0]:
        text = f"No worker is online in work pool {facts['pool']['name']} any more."
        yield _cause("no-worker-online", text, work_pool_id=facts["pool"]["id"], last_heartbeat=facts["workers"][2])


def _running(facts: dict[str, Any], settings: Any, now: datetime) -> Iterator[Cause]:
    since, beat = facts["run"]["state_timestamp"], facts["heartbeat"]
    text = f"It has been running since {_at(since)}, for {_long(now - since)}."
    yield _cause("running", text, blocking=False, since=since, worker=facts["worker"])
    if beat is None:
        yield _cause(
            "no-heartbeats",
            "Its process sends no heartbeats (PREFECT_FLOWS_HEARTBEAT_FREQUENCY), so nobody knows whether it lives.",
            blocking=False,
        )
        return
    seconds = settings.plugin[HEARTBEAT]
    text = f"Its last heartbeat came at {_at(beat)}, {_long(now - beat)} ago."
    if seconds:
        text += f" Without another one it is Crashed at {_at(beat + timedelta(seconds=seconds))}."
    yield _cause("last-heartbeat", text, blocking=False, last_heartbeat=beat)


def _paused(facts: dict[str, Any], settings: Any, now: datetime) -> Iterator[Cause]:
    until = facts["details"].get("pause_timeout")
    text = f"It is {facts['run']['state_name']} and waits for somebody to resume it"
    text += f"; it fails at {_at(until)}." if until is not None else "."
    yield _cause("paused", text, since=facts["run"]["state_timestamp"], until=until)


def _cancelling(facts: dict[str, Any], settings: Any, now: datetime) -> Iterator[Cause]:
    since = facts["run"]["state_timestamp"]
    seconds = settings.server.services.cancellation_cleanup.cancelling_timeout_seconds
    until = since + timedelta(seconds=seconds)
    text = f"It has been cancelling since {_at(since)}; if nobody has ended it by {_at(until)}, the server does."
    yield _cause("cancelling", text, since=since, until=until)
    yield from _offline({**facts, "workers": facts.get("workers", (1, 1, None))})
