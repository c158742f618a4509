"""From the groups that somebody else has put a person into to what they may do here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prefect_kernel.web.authentication import ROLES
from prefect_kernel.web.group import PERMISSIONS


def best_role(groups: Iterable[str], roles: Mapping[str, str], default: str) -> str | None:
    """The permission of the best role that a group stands for; the default role's, or None, where none does.

    Names of roles stand for themselves where `roles` is empty.
    """
    known = roles or {role: role for role in ROLES}
    found = [ROLES[known[group]] for group in groups if group in known]
    if found:
        return max(found, key=PERMISSIONS.index)
    return ROLES[default] if default else None
