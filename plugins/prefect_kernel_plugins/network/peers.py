"""Networks, and what the proxies in them say of their clients."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from prefect_kernel.errors import SettingsError

PEER = "prefect_kernel.peer"
"""Key in a scope: the address of who has really connected, where a proxy's word has replaced it."""

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~\-]+)+")
_SECURE = {"http": "ws", "https": "wss"}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """A set of addresses."""

    def __init__(self, names: Iterable[str], setting: str) -> None:
        """`names` are addresses and networks (`10.0.0.0/8`). Raises SettingsError for what is neither."""
        try:
            self._networks = [ipaddress.ip_network(name, strict=False) for name in names]
        except ValueError as error:
            raise SettingsError(f"{setting}: {error}; give addresses or networks such as 10.0.0.0/8.") from None

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks if network.version == address.version)


def address_of(text: str) -> Address | None:
    """The address that a text is, with or without a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def peer_of(scope: dict[str, Any]) -> Address | None:
    """Who has really connected; None on sockets without addresses."""
    client = scope.get(PEER) or scope.get("client")
    return None if client is None else address_of(client[0])


def believe(scope: dict[str, Any], trusted: Networks) -> None:
    """Put what a proxy says of its client into a scope, if the peer is one of the trusted."""
    peer = peer_of(scope)
    if peer is None or peer not in trusted:
        return
    said = {name: value.decode("latin-1") for name, value in scope["headers"] if name.startswith(b"x-forwarded-")}
    scope[PEER] = scope["client"]
    chain = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    client = _client(chain, trusted)
    if client is not None:
        scope["client"] = (str(client), 0)
    protocol = _last(said.get(b"x-forwarded-proto")).lower()
    if protocol in _SECURE:
        scope["scheme"] = _SECURE[protocol] if scope["type"] == "websocket" else protocol
    host = _last(said.get(b"x-forwarded-host"))
    if _HOST.fullmatch(host):
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [*others, (b"host", host.encode("latin-1"))]
    prefix = _last(said.get(b"x-forwarded-prefix")).rstrip("/")
    if _PREFIX.fullmatch(prefix):
        scope["root_path"] = prefix


def _last(text: str | None) -> str:
    """What the nearest proxy has said, where several have said something."""
    return (text or "").rpartition(",")[2].strip()


def _client(chain: str, trusted: Networks) -> Address | None:
    """The last address that is not a trusted proxy's: what stands before it, anybody may have written."""
    found = None
    for text in reversed(chain.split(",")):
        address = address_of(text)
        if address is None:
            break
        found = address
        if address not in trusted:
            break
    return found
