"""The worker channel: hellos, snapshots, heartbeats, and what ends it."""

from __future__ import annotations

from typing import Any

from ..script import Script, sequence
from .work_pools import TEMPLATE, pool

GROUP = "work_pools"
KIND = "cancelling_timeout_teardown.v1"
CLEANUP = "cleanup_delivery.v1"
READY = ("wait", 0.5)


def _frame(s: Script, type_: str, payload: Any, **more: Any) -> dict[str, Any]:
    return {"type": type_, "id": s.uuid("frame"), "sent_at": s.now(), "payload": payload, **more}


def _hello(s: Script, **more: Any) -> dict[str, Any]:
    return _frame(s, "worker.hello.v1", {
        "consumer_id": s.uuid("consumer"), "worker_name": "w", "worker_type": "process",
        "heartbeat_interval_seconds": 30, "supported_channel_versions": ["work_pool_worker_channel.v1"],
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1", "other.v1"], **more,
    })  # fmt: skip


def _beat(s: Script, **more: Any) -> dict[str, Any]:
    return _frame(s, "worker.heartbeat.v1", {
        "consumer_id": s.uuid("consumer"), "worker_name": "w", "heartbeat_interval_seconds": 30, **more,
    })  # fmt: skip


def _talk(s: Script, path: str, *talk: tuple[Any, ...], **options: Any) -> None:
    s.socket(f"{path}/workers/connect", *talk, **options)


@sequence
def hellos(s: Script) -> None:
    """A hello is answered with queues and a snapshot; the pool is READY then, and may be made by it."""
    path = pool(s, base_job_template=TEMPLATE)
    s.post(f"{path}/queues", {"name": "fast", "priority": 1})
    for more in (
        {}, {"work_queue_names": ["fast"]}, {"work_queue_names": ["default", "fast", "default"]},
        {"worker_name": "other", "heartbeat_interval_seconds": 5}, {"worker_metadata": {"a": 1}},
        {"requested_capabilities": ["work_pool_snapshot.v1", "worker_heartbeat.v1", "worker_heartbeat.v1"]},
    ):  # fmt: skip
        _talk(s, path, ("send", _hello(s, **more)), ("receive", 1), ("silence", 0.3))
    s.get(path)
    s.post(f"{path}/workers/filter", {})
    made = f"/work_pools/{s.name('made')}"
    _talk(s, made, ("send", _hello(s, create_pool_if_not_found=True, default_base_job_template=TEMPLATE)),
          ("receive", 1))  # fmt: skip
    s.get(made)
    bare = pool(s)
    _talk(s, bare, ("send", _hello(s, default_base_job_template=TEMPLATE)), ("receive", 1))
    s.get(bare)


@sequence
def snapshots_and_heartbeats(s: Script) -> None:
    """A change is told; a heartbeat is heard; a pool that is deleted ends it."""
    path = pool(s)
    _talk(s, path, ("send", _hello(s)), ("receive", 1), READY, ("request", "PATCH", path, {"concurrency_limit": 3}),
          ("receive", 1), ("send", _beat(s)), ("silence", 0.5))  # fmt: skip
    s.get(path)
    _talk(s, path, ("send", _hello(s)), ("receive", 1), READY, ("request", "PATCH", path, {"is_paused": True}),
          ("receive", 1), ("silence", 0.3))  # fmt: skip
    _talk(s, path, ("send", _hello(s)), ("receive", 1), READY, ("request", "DELETE", path), ("receive", 1),
          ("silence", 0.5))  # fmt: skip


@sequence
def refusals(s: Script) -> None:
    """Hellos that are none, and frames that do not belong."""
    path = pool(s)
    nobody = f"/work_pools/{s.name('nobody')}"
    _talk(s, nobody, ("send", _hello(s)), ("receive", 1))
    _talk(s, f"/work_pools/{s.name('prefect-x')}", ("send", _hello(s, create_pool_if_not_found=True)), ("receive", 1))
    for more in (
        {"work_queue_names": ["nobody"]}, {"supported_channel_versions": ["v9"]}, {"supported_channel_versions": []},
        {"requested_capabilities": ["worker_heartbeat.v1"]}, {"handled_cleanup_kinds": [KIND]}, {"unknown": 1},
        {"heartbeat_interval_seconds": 0}, {"heartbeat_interval_seconds": "30"}, {"consumer_id": "x"},
        {"worker_name": ""}, {"worker_type": ""}, {"max_cleanup_concurrency": -1}, {"work_queue_names": [""]},
    ):  # fmt: skip
        _talk(s, path, ("send", _hello(s, **more)), ("receive", 1))
    for frame in ("{", "[]", "x", {}, _beat(s), _frame(s, "x", {}), {**_hello(s), "unknown": 1},
                  {**_hello(s), "sent_at": "x"}):  # fmt: skip
        _talk(s, path, ("send", frame), ("receive", 1))
    for frame in (_hello(s), _beat(s, worker_name="other"), _beat(s, consumer_id=s.uuid("x")), "{", _frame(s, "x", {}),
                  _beat(s, heartbeat_interval_seconds=0)):  # fmt: skip
        _talk(s, path, ("send", _hello(s)), ("receive", 1), ("send", frame), ("silence", 0.7))
    _talk(s, path, ("send", _hello(s)), ("receive", 1), subprotocol=None)
    _talk(s, path, ("send", {"type": "x"}), ("receive", 1), auth=False)


def _operation(s: Script, name: str, **more: Any) -> dict[str, Any]:
    payload = {"message_id": s.uuid("message"), "reservation_token": "t", **more}
    return _frame(s, f"cleanup.{name}.v1", payload)


@sequence
def operations(s: Script) -> None:
    """What a worker says about messages that there are not, that it may not have, and in frames that are none."""
    path = pool(s)
    able = {
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1", CLEANUP],
        "handled_cleanup_kinds": [KIND],
    }
    for more in (
        able, {**able, "max_cleanup_concurrency": 3}, {**able, "max_cleanup_concurrency": 0}, {},
        {**able, "handled_cleanup_kinds": []}, {**able, "handled_cleanup_kinds": [KIND, KIND]},
    ):  # fmt: skip
        _talk(
            s, path, ("send", _hello(s, **more)), ("receive", 1), ("send", _operation(s, "ack")), ("receive", 1),
            ("send", _operation(s, "release", reason="busy")), ("receive", 1), ("send", _operation(s, "renew")),
            ("receive", 1), ("silence", 0.3),
        )  # fmt: skip
    for more in (
        {**able, "handled_cleanup_kinds": ["other.v1"]}, {**able, "max_cleanup_concurrency": -1},
        {**able, "max_cleanup_concurrency": "1"}, {**able, "handled_cleanup_kinds": None},
    ):  # fmt: skip
        _talk(s, path, ("send", _hello(s, **more)), ("receive", 1))
    for frame in (
        _operation(s, "release"), _operation(s, "release", reason=""), _operation(s, "ack", reservation_token=""),
        _operation(s, "ack", message_id="x"), _operation(s, "ack", reason="x"), _operation(s, "other"),
        _operation(s, "renew", reservation_token=1),
    ):  # fmt: skip
        _talk(s, path, ("send", _hello(s, **able)), ("receive", 1), ("send", frame), ("silence", 0.7))
