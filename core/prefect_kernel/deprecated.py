"""Hooks that are scheduled to go, with what plugins should use instead.

A plugin that implements one of them is told so when it is loaded. An entry is made in a minor version of the plugin
interface, and the hook is removed with the next major one.
"""

from __future__ import annotations


class KernelDeprecationWarning(DeprecationWarning):
    """Something of the plugin interface will go with the next major version."""


HOOKS: dict[str, KernelDeprecationWarning] = {}
"""Name of a hook -> what to say about it."""
