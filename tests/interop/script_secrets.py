"""Run by the interop tests with the unmodified client: blocks with secrets, nested ones too, are saved and loaded.

Its arguments are `save` or `load`, each followed by a name: `save by-kernel load by-kernel load by-prefect`.
"""

from __future__ import annotations

import sys

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.types import SecretDict
from pydantic import SecretStr


class Inner(Block):
    """A block with a secret, that another one refers to."""

    user: str
    password: SecretStr


class Outer(Block):
    """A block with another one inside, and secrets in a dictionary."""

    inner: Inner
    more: SecretDict


def save(name: str) -> None:
    """Save one of each kind."""
    Secret(value=f"hush {name}").save(name)
    inner = Inner(user=name, password=SecretStr(f"password of {name}"))
    inner.save(name)
    Outer(inner=inner, more=SecretDict({"a": {"b": name}})).save(name)


def load(name: str) -> None:
    """Look whether what `save` has saved is as it was."""
    assert Secret.load(name).get() == f"hush {name}"
    outer = Outer.load(name)
    assert outer.inner.password.get_secret_value() == f"password of {name}"
    assert outer.more.get_secret_value() == {"a": {"b": name}}


def run(words: list[str]) -> None:
    """Do what the arguments say, in their order."""
    for what, name in zip(words[::2], words[1::2], strict=True):
        {"save": save, "load": load}[what](name)


if __name__ == "__main__":
    run(sys.argv[1:])
