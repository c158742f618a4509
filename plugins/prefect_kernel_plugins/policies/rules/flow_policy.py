"""The retry and pause bookkeeping that a flow run carries in `empirical_policy`."""

from __future__ import annotations

from typing import Any

from ...common.policies import with_old_keys

_DEFAULTS: dict[str, Any] = {
    "max_retries": 0,
    "retry_delay_seconds": 0.0,
    "retries": None,
    "retry_delay": None,
    "pause_keys": [],
    "resuming": False,
    "retry_type": None,
}


def change_policy(run: dict[str, Any], **changes: Any) -> None:
    """Change members of a flow run's policy; the old object stays as it is, and in place when nothing changes."""
    policy = {**_DEFAULTS, **with_old_keys(run["empirical_policy"] or {})}
    policy["retry_delay_seconds"] = float(policy["retry_delay_seconds"] or 0)
    if any(policy[name] != value for name, value in changes.items()):
        run["empirical_policy"] = {**policy, **changes}


def policy_value(run: dict[str, Any], name: str) -> Any:
    """A member of a flow run's policy; rows of old versions lack some."""
    return with_old_keys(run["empirical_policy"] or {}).get(name)
