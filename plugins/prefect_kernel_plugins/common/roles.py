"""From the groups that somebody else has put a person into to what they may do here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from prefect_kernel.settings import Setting
from prefect_kernel.web.authentication import ROLES
from prefect_kernel.web.group import PERMISSIONS

Role = Literal["viewer", "runner", "editor", "admin"]


def role_settings(roles: str, default_role: str, default: str) -> list[Setting]:
    """The settings, by these names, of what groups may do, and of what those may who are in none of them."""
    return [
        Setting(
            roles,
            dict[str, Role],
            {},
            'What such groups may do: {"prefect-admins": "admin"}. Names of roles stand for themselves unless set.',
        ),
        Setting(
            default_role,
            Literal["", "viewer", "runner", "editor", "admin"],
            default,
            "Role of those who are in no such group; empty refuses them.",
        ),
    ]


def best_role(groups: Iterable[str], roles: Mapping[str, str], default: str) -> str | None:
    """The permission of the best role that a group stands for; the default role's, or None, where none does.

    Names of roles stand for themselves where `roles` is empty.
    """
    known = roles or {role: role for role in ROLES}
    found = [ROLES[known[group]] for group in groups if group in known]
    if found:
        return max(found, key=PERMISSIONS.index)
    return ROLES[default] if default else None
