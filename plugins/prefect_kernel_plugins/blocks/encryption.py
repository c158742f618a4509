"""Encryption of documents at rest: Fernet, with a key from where the reference has it.

The key is that of the environment, else the one in the table `configuration`, which is made when it is first needed.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, inserting
from prefect_kernel.stash import StashKey

from ..configuration.tables import configuration as t

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

    from prefect_kernel.app import Kernel

ENVIRONMENT = ("PREFECT_SERVER_ENCRYPTION_KEY", "ORION_ENCRYPTION_KEY")
ROW = "ENCRYPTION_KEY"

_READ = Statement(sa.select(t.c.value).where(t.c.key == ROW))
_VALUES: dict[str, Any] = {
    "key": ROW,
    **{name: sa.bindparam(name, type_=t.c[name].type) for name in ("id", "created", "updated", "value")},
}
_INSERT = Statement(inserting(lambda insert: insert(t).values(_VALUES).on_conflict_do_nothing(index_elements=["key"])))


class Cipher:
    """Encrypts and decrypts data with one key."""

    def __init__(self, key: str) -> None:
        """Raises ValueError when the key is none."""
        from cryptography.fernet import Fernet  # OpenSSL costs 35 ms and 10 MiB, which servers without blocks save

        self.key = key
        self._fernet: Fernet = Fernet(key.encode())

    def encrypt(self, data: dict[str, Any]) -> str:
        """What is stored of some data."""
        return self._fernet.encrypt(json.dumps(data).encode()).decode()

    def decrypt(self, stored: str) -> dict[str, Any]:
        """The data of what is stored. Raises Undecryptable when it was encrypted with another key."""
        from cryptography.fernet import InvalidToken

        try:
            data: dict[str, Any] = json.loads(self._fernet.decrypt(stored.encode()))
        except InvalidToken:
            raise UndecryptableError from None
        return data


class UndecryptableError(errors.StorageError):
    """A block document was encrypted with a key other than the server's."""


_CIPHER = StashKey[Cipher]("the cipher of block documents")


def cipher(kernel: Kernel) -> Unit[Cipher | None]:
    """The cipher for reading; None when no key was ever made. Raises ValueError for a key that is none."""
    for name in ENVIRONMENT:
        if key := os.environ.get(name):
            return _kept(kernel, key)
    if _CIPHER in kernel.stash:
        return kernel.stash[_CIPHER]
    rows = yield _READ()
    return _kept(kernel, rows[0][0]["fernet_key"]) if rows else None


def cipher_for_writing(kernel: Kernel, now: datetime) -> Unit[Cipher]:
    """As `cipher`; a key that is not there yet is made in the unit's transaction."""
    found = yield from cipher(kernel)
    if found is not None:
        return found
    from cryptography.fernet import Fernet

    yield _INSERT(id=uuid4(), created=now, updated=now, value={"fernet_key": Fernet.generate_key().decode()})
    rows = yield _READ()  # somebody else may have been faster
    return Cipher(rows[0][0]["fernet_key"])  # not kept: the transaction may yet fail


def fresh_cipher(kernel: Kernel) -> Unit[Cipher | None]:
    """As `cipher`, from the database: what was kept is of a database that has been made anew since."""
    if any(os.environ.get(name) for name in ENVIRONMENT):
        return (yield from cipher(kernel))
    rows = yield _READ()
    return _kept(kernel, rows[0][0]["fernet_key"]) if rows else None


def _kept(kernel: Kernel, key: str) -> Cipher:
    if _CIPHER not in kernel.stash or kernel.stash[_CIPHER].key != key:
        kernel.stash[_CIPHER] = Cipher(key)
    return kernel.stash[_CIPHER]
