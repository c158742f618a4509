"""The lease storage: a key per lease, a sorted set of their ends, and a hash of holders per limit.

Changes are made after the commit that they belong to, and kept here until Redis has them: while it is away, slots can
be taken, and leases that nobody here knows cannot be read (503). Reads are parts of units, which cannot wait for the
event loop: they block, for so short a time that a Redis that hangs does not hold up everybody.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from prefect_kernel import errors
from prefect_kernel.declare import Declares
from prefect_kernel.ports.leases import Lease
from prefect_kernel.sql import Unit

from ..common.redis_client import open_async, open_blocking

log = logging.getLogger("prefect_kernel.leases")
T = TypeVar("T")

READ_SECONDS = 0.5
"""How long a read may take."""
AWAY_SECONDS = 2.0
"""How long nobody tries again after a read has failed."""
WRITE_SECONDS = 2.0
RETRY_SECONDS = 0.5

_BASE = "prefect:concurrency:"
_ENDS = f"{_BASE}expirations"

_PUT = """
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
for i = 3, #KEYS do redis.call('HSET', KEYS[i], ARGV[1], ARGV[4]) end
"""
_PROLONG = """
local stored = redis.call('GET', KEYS[1])
if not stored then redis.call('ZREM', KEYS[2], ARGV[1]) return 0 end
local lease = cjson.decode(stored)
lease['expiration'] = ARGV[2]
redis.call('SET', KEYS[1], cjson.encode(lease))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
_DROP = """
local stored = redis.call('GET', KEYS[1])
if stored then
  for _, limit in ipairs(cjson.decode(stored)['resource_ids']) do
    redis.call('HDEL', ARGV[2] .. 'limit:' .. limit .. ':holders', ARGV[1])
  end
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
"""


def _key(id: str) -> str:
    return f"{_BASE}lease:{id}"


def _holders(limit_id: str) -> str:
    return f"{_BASE}limit:{limit_id}:holders"


def _to_json(lease: Lease) -> str:
    metadata: dict[str, Any] = {"slots": lease.slots}
    if lease.holder is not None:
        metadata["holder"] = lease.holder
    return json.dumps(
        {
            "id": lease.id,
            "resource_ids": list(lease.limit_ids),
            "expiration": lease.expires.isoformat(),
            "created_at": lease.created.isoformat(),
            "metadata": metadata,
        }
    )


def _from_json(text: str) -> Lease:
    stored = json.loads(text)
    metadata = stored["metadata"] or {"slots": 1}
    return Lease(
        id=stored["id"],
        limit_ids=tuple(stored["resource_ids"]),
        slots=metadata["slots"],
        created=datetime.fromisoformat(stored["created_at"]),
        expires=datetime.fromisoformat(stored["expiration"]),
        holder=metadata.get("holder"),
    )


@dataclass(frozen=True)
class _Prolonged:
    """A lease that is only known by its id ends later."""

    expires: datetime


Change = Lease | _Prolonged | None
"""What a lease has become; None: nothing."""

_KNOWN: Any = object()
"""In place of a change that Redis knows."""


def _away() -> tuple[type[Exception], ...]:
    """The errors of a Redis that is not there."""
    from redis import RedisError

    return (RedisError, OSError)


class RedisLeases:
    """Leases in one Redis database."""

    def __init__(self, settings: Any) -> None:
        limits = {"socket_timeout": READ_SECONDS, "socket_connect_timeout": READ_SECONDS}
        self._reader = open_blocking(settings, decode_responses=True, **limits)
        self._writer = open_async(settings, decode_responses=True, socket_timeout=WRITE_SECONDS)
        self._put = self._writer.register_script(_PUT)
        self._prolong = self._writer.register_script(_PROLONG)
        self._drop = self._writer.register_script(_DROP)
        self._unsaved: dict[str, Change] = {}
        """What Redis does not know yet."""
        self._saving: asyncio.Task[None] | None = None
        self._away_until = 0.0

    def gauges(self) -> dict[str, float]:
        """How many changes Redis does not know yet, for metrics."""
        return {"leases_unsaved": len(self._unsaved)}

    def create(self, unit: Declares, lease: Lease) -> None:
        unit.on_commit.append(partial(self._change, lease.id, lease))

    def renew(self, unit: Declares, id: str, expires: datetime, seen: Lease | None = None) -> None:
        unit.on_commit.append(partial(self._change, id, _Prolonged(expires)))

    def revoke(self, unit: Declares, id: str, seen: Lease | None = None) -> None:
        unit.on_commit.append(partial(self._change, id, None))

    # ------------------------------------------------------------ reads
    def get(self, id: str) -> Unit[Lease | None]:
        yield from ()
        found = self._leases([id])
        return found[0] if found else None

    def expired(self, now: datetime, limit: int = 100) -> Unit[list[str]]:
        yield from ()
        if self._unsaved:
            raise errors.StorageUnavailable("Redis does not know yet which leases were renewed.")
        before = f"({now.timestamp()}"
        ids: list[str] = self._read(lambda: self._reader.zrangebyscore(_ENDS, "-inf", before, start=0, num=limit))
        return ids

    def of_limit(self, limit_id: str, now: datetime) -> Unit[list[Lease]]:
        yield from ()
        return self._held([limit_id], now)

    def of_holder(self, holder_id: str, limit_ids: list[str], now: datetime) -> Unit[list[Lease]]:
        yield from ()
        return [lease for lease in self._held(limit_ids, now) if lease.holder and lease.holder["id"] == holder_id]

    def leased(self, limit_id: str) -> Unit[int | None]:
        yield from ()
        return None  # Redis may lose leases while their slots stay taken

    def _held(self, limit_ids: list[str], now: datetime) -> list[Lease]:
        """The leases with a holder on any of these limits whose time has not run out, oldest first."""
        with self._reader.pipeline(transaction=False) as pipeline:
            for limit_id in limit_ids:
                pipeline.hkeys(_holders(limit_id))
            found: list[list[str]] = self._read(pipeline.execute)
        wanted = set(limit_ids)
        unsaved = [
            id
            for id, lease in dict(self._unsaved).items()
            if isinstance(lease, Lease) and wanted.intersection(lease.limit_ids)
        ]
        leases = self._leases(dict.fromkeys([*(id for ids in found for id in ids), *unsaved]))
        held = [lease for lease in leases if lease.holder is not None and lease.expires > now]
        return sorted(held, key=lambda lease: lease.created)

    def _leases(self, ids: Iterable[str]) -> list[Lease]:
        """Those of these leases that there are."""
        ids = list(ids)
        unsaved = dict(self._unsaved)
        ask = [id for id in ids if id not in unsaved or isinstance(unsaved[id], _Prolonged)]
        texts = self._read(lambda: self._reader.mget([_key(id) for id in ask])) if ask else []
        stored = {id: _from_json(text) for id, text in zip(ask, texts, strict=True) if text is not None}
        found: list[Lease] = []
        for id in ids:
            change, lease = unsaved.get(id), stored.get(id)
            if isinstance(change, Lease):
                found.append(change)
            elif lease is not None:
                found.append(lease.until(change.expires) if isinstance(change, _Prolonged) else lease)
        return found

    def _read(self, ask: Callable[[], Any]) -> Any:
        if time.monotonic() < self._away_until:
            raise errors.StorageUnavailable("Redis, which has the leases, does not answer.")
        try:
            return ask()
        except _away() as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            raise errors.StorageUnavailable(f"Redis, which has the leases, does not answer: {error}") from error

    # ------------------------------------------------------------ after the commit
    async def _change(self, id: str, change: Change) -> None:
        if isinstance(change, _Prolonged) and id in self._unsaved:
            known = self._unsaved[id]
            change = known.until(change.expires) if isinstance(known, Lease) else None if known is None else change
        self._unsaved[id] = change
        if self._saving is not None:
            return
        try:
            await self._save(id)
        except Exception as error:  # noqa: BLE001 - it is committed, and tried again whatever was in the way
            log.warning("Redis does not take leases, which are kept until it does: %s", error)
            if self._saving is None:
                self._saving = asyncio.create_task(self._save_all(), name="leases for Redis")

    async def _save_all(self) -> None:
        while self._unsaved:
            try:
                for id in list(self._unsaved):
                    await self._save(id)
            except Exception as error:  # noqa: BLE001 - who gives up here is never asked again
                log.debug("leases wait for Redis: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
        log.warning("Redis has all leases again")
        self._saving = None

    async def _save(self, id: str) -> None:
        """Tell Redis what has become of a lease. Raises what `_away` names."""
        change = self._unsaved.get(id, _KNOWN)
        if change is _KNOWN:
            return
        await self._tell(id, change)
        if self._unsaved.get(id, _KNOWN) is change:  # it may have changed again meanwhile
            del self._unsaved[id]

    async def _tell(self, id: str, change: Change) -> None:
        keys = [_key(id), _ENDS]
        if change is None:
            await self._drop(keys=keys, args=[id, _BASE])
        elif isinstance(change, _Prolonged):
            await self._prolong(keys=keys, args=[id, change.expires.isoformat(), change.expires.timestamp()])
        else:
            entry = json.dumps({"holder": change.holder, "slots": change.slots, "lease_id": id})
            if change.holder is not None:
                keys += [_holders(limit_id) for limit_id in change.limit_ids]
            await self._put(keys=keys, args=[id, _to_json(change), change.expires.timestamp(), entry])

    async def close(self) -> None:
        """Tell Redis what it does not know yet, if it listens."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        try:
            for id in list(self._unsaved):
                await self._save(id)
        except _away() as error:
            log.error("%d leases could not be told to Redis before the end: %s", len(self._unsaved), error)
        await self._writer.aclose()
        self._reader.close()
