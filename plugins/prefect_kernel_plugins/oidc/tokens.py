"""Checking tokens."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect_kernel import web

from ..common.roles import best_role
from .key_set import KeySet

log = logging.getLogger("prefect_kernel.oidc")

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with public keys only, since a public key taken for a shared secret would let anybody sign."""

LONGEST = 16 * 1024
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no database, log or answer can hold of a name."""
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def token_in(text: str | None) -> str | None:
    """The token in what a client has sent: all of it, or the password after a name that is not looked at."""
    if text is None or len(text) > LONGEST:
        return None
    if _JWT.fullmatch(text):
        return text
    password = text.partition(":")[2]
    return password if _JWT.fullmatch(password) else None


def claimed(claims: Mapping[str, Any], path: str) -> list[str]:
    """The texts at a claim: a list's, one, or those of a text with spaces or commas between them."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [part for part in re.split(r"[\s,]+", found) if part]
    return [part for part in found if isinstance(part, str)] if isinstance(found, list) else []


class OidcTokens:
    """Knows those with a token that the issuer has signed, for this audience, not expired, and with a role."""

    name = "oidc"
    interactive = True

    def __init__(
        self,
        *,
        issuer: str,
        audiences: Sequence[str],
        keys: KeySet,
        leeway: float,
        name_claim: str,
        role_claim: str,
        roles: Mapping[str, str],
        default_role: str,
    ) -> None:
        self._issuer, self._audiences, self._keys, self._leeway = issuer, list(audiences), keys, leeway
        self._name_claim, self._role_claim = name_claim, role_claim
        self._roles, self._default = roles, default_role

    async def _known(self, text: str | None) -> web.Caller | None:
        token = token_in(text)
        if token is None:
            return None
        import jwt

        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                return None
            key = await self._keys.key(head.get("kid"))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[head["alg"]] if _fits(key, head["alg"]) else [],
                audience=self._audiences,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError) as error:
            log.info("A token is refused: %s", error)
            return None
        permission = best_role(claimed(claims, self._role_claim), self._roles, self._default)
        name = claims.get(self._name_claim) or claims.get("sub")
        if permission is None or not isinstance(name, str) or not name:
            log.info("A token of %s is refused: it gives no role that is known here, or no name.", claims.get("sub"))
            return None
        name = _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", name)[:200]
        return web.Caller(name, permission, self.name, _moment(int(claims["exp"]), self._leeway))

    async def request(self, request: web.Request) -> web.Caller | None:
        given = web.credentials(request.header("authorization"))
        return await self._known(None if given is None else given[1])

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        if token is None:
            given = web.credentials(socket.header("authorization"))
            token = None if given is None else given[1]
        return await self._known(token)


def _moment(seconds: int, leeway: float) -> datetime | None:
    """A moment given in seconds since 1970, and the leeway after it; None when it is later than can be said."""
    try:
        return datetime.fromtimestamp(seconds + leeway, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _fits(key: Any, algorithm: str) -> bool:
    """Whether a key may be used in that way: as it says itself, or as its kind allows."""
    kinds = {"R": "RSA", "P": "RSA", "E": "OKP" if algorithm == "EdDSA" else "EC"}
    named = key._jwk_data.get("alg")  # noqa: SLF001 - PyJWK fills in a default where the key does not say
    return bool(key.key_type == kinds[algorithm[0]] and named in (None, algorithm))
