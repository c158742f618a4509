"""The public keys of an OpenID provider, kept and fetched again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from prefect_kernel.errors import Unavailable

log = logging.getLogger("prefect_kernel.oidc")

FRESH = 300.0
"""Seconds after which keys are fetched again, with the next token."""
STALE = 24 * 3600.0
"""Seconds for which keys are used that cannot be fetched again, as when the provider is away."""
PAUSE = 30.0
"""Seconds between two attempts, however many tokens name keys that are not known."""
TIMEOUT = 5.0
PATIENCE = 1.0
"""Seconds for which a token waits for fresh keys whose own key is known: a provider that hangs holds nobody up."""
MOST_BYTES = 1024 * 1024
MOST_KEYS = 100


class KeySetError(Exception):
    """The keys cannot be had; the text says why."""


class KeySet:
    """Keys by their ids."""

    def __init__(self, issuer: str, where: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`where` is a URL or a file; when it is empty, the issuer's configuration says it."""
        self._issuer, self._where, self._clock = issuer, where, clock
        self._keys: dict[str | None, Any] = {}
        self._fetched = self._tried = -STALE
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, id: str | None) -> Any:
        """The key with that id (None: the only one); None when there is none. Raises Unavailable without any keys."""
        now = self._clock()
        since = now - self._fetched
        missing = id not in self._keys or since > STALE
        if self._fetching is None and (missing or since > FRESH) and now - self._tried > PAUSE:
            # A task of its own: it must not end with the request that was the first to need it.
            self._tried = now
            self._fetching = asyncio.create_task(self._refresh())
            await asyncio.wait([self._fetching], timeout=PATIENCE)
        if self._fetching is not None and missing:
            # Who needs a key that is being fetched waits for it: at a start, or when the provider has changed its keys.
            await asyncio.wait([self._fetching])
        if self._clock() - self._fetched > STALE:
            raise Unavailable(PAUSE)
        return self._keys.get(id)

    async def _refresh(self) -> None:
        try:
            self._keys = _parsed(await self._read())
            self._fetched = self._clock()
        except KeySetError as error:
            log.warning("The keys of %s cannot be had: %s", self._issuer, error)
        except Exception:
            log.exception("The keys of %s cannot be had", self._issuer)
        finally:
            self._fetching = None

    async def _read(self) -> bytes:
        where = self._where
        if where and "://" not in where:
            try:
                return await asyncio.to_thread(Path(where).read_bytes)
            except OSError as error:
                raise KeySetError(str(error)) from None
        if not where:
            where = _parsed_place(
                await _get(self._issuer.rstrip("/") + "/.well-known/openid-configuration"), self._issuer
            )
        return await _get(where)


async def _get(url: str) -> bytes:
    """What is at a URL: at most MOST_BYTES, within TIMEOUT, without following redirects."""
    import httpx

    if not url.startswith(("https://", "http://")):
        raise KeySetError(f"{url!r} is no URL")
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            httpx.AsyncClient(timeout=TIMEOUT) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != 200:
                raise KeySetError(f"{url} answers {answer.status_code}")
            found = b""
            async for part in answer.aiter_bytes():
                found += part
                if len(found) > MOST_BYTES:
                    raise KeySetError(f"{url} is longer than {MOST_BYTES} bytes")
            return found
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise KeySetError(f"{url}: {error!r}") from None


def _parsed_place(document: bytes, issuer: str) -> str:
    try:
        found = orjson.loads(document)
        named, place = found["issuer"], found["jwks_uri"]
    except (ValueError, KeyError, TypeError):
        raise KeySetError("the issuer's configuration does not say where its keys are") from None
    if named != issuer:
        raise KeySetError(f"the configuration is that of {named!r}")
    return str(place)


def _parsed(document: bytes) -> dict[str | None, Any]:
    """The keys that can be used for signatures; those that are not understood are left out."""
    import jwt

    try:
        listed = orjson.loads(document)["keys"][:MOST_KEYS]
    except (ValueError, KeyError, TypeError):
        raise KeySetError("they are no JSON Web Key Set") from None
    found: dict[str | None, Any] = {}
    for one in listed:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") == "oct":
            continue
        try:
            found[one.get("kid")] = jwt.PyJWK(one)
        except Exception as error:  # noqa: BLE001 - whatever a library makes of one key, the others are good
            log.info("A key is left out: %r", error)
    if not found:
        raise KeySetError("there is no key among them that can be used")
    if len(found) == 1:
        found.setdefault(None, next(iter(found.values())))
    return found
