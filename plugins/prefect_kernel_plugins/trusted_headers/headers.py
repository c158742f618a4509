"""Reading what proxies say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from prefect_kernel import web

from ..common.roles import best_role
from ..network.peers import Networks, peer_of
from . import NETWORKS

LONGEST_NAME = 200


class TrustedHeaders:
    """Knows those whom a trusted peer names.

    Browsers send a proxy's cookie with whatever page of whatever origin asks them to. So what a page of another origin
    asks for is nobody's request, unless the CORS settings name that origin.
    """

    name = "trusted-headers"
    ambient = True

    def __init__(
        self,
        user: str,
        role: str,
        networks: Sequence[str],
        roles: Mapping[str, str],
        default: str,
        origins: Sequence[str],
    ) -> None:
        self._user, self._role = user.lower().encode(), role.lower().encode()
        self._trusted = Networks(networks, NETWORKS)
        self._roles, self._default = roles, default
        self._origins = {origin for origin in origins if origin != "*"}

    def _known(self, scope: dict[str, Any]) -> web.Caller | None:
        peer = peer_of(scope)
        if peer is None or peer not in self._trusted:
            return None
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        names = [value for name, value in headers if name == self._user]
        if len(names) != 1:  # with two of them, one may be the client's own
            return None
        name = names[0].decode("utf-8", "replace").strip()
        if not name or len(name) > LONGEST_NAME or not self._is_own(dict(headers)):
            return None
        groups: list[str] = []
        if self._role:
            given = [value for header, value in headers if header == self._role]
            if len(given) > 1:  # as above: the client would give itself a role
                return None
            groups = [part.strip() for part in b"".join(given).decode("utf-8", "replace").split(",")]
        permission = best_role(groups, self._roles, self._default)
        return None if permission is None else web.Caller(name, permission, self.name)

    def _is_own(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request was not made by a page of another origin."""
        origin = headers.get(b"origin")
        if origin is None:
            return headers.get(b"sec-fetch-site", b"same-origin") in (b"same-origin", b"same-site", b"none")
        text = origin.decode("latin-1")
        hosts = (headers.get(b"host", b""), headers.get(b"x-forwarded-host", b"").rpartition(b",")[2].strip())
        try:
            netloc = urlsplit(text).netloc.encode("latin-1")
        except ValueError:  # `http://[`, say
            return False
        return text in self._origins or netloc in [host for host in hosts if host]

    async def request(self, request: web.Request) -> web.Caller | None:
        return self._known(request.scope)

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        return self._known(socket.scope)
