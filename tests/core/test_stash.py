"""What plugins keep on a kernel."""

from __future__ import annotations

import pytest

from prefect_kernel.stash import Stash, StashKey


def test_keys_are_told_apart_by_identity_not_by_name() -> None:
    """Two plugins that use the same name don't get one another's things."""
    one, other, stash = StashKey[int]("queue"), StashKey[str]("queue"), Stash()
    stash[one] = 1
    stash[other] = "text"
    assert (stash[one], stash[other]) == (1, "text")


def test_what_nobody_provided_is_an_error_that_names_it() -> None:
    """Asking for what no loaded plugin provides says what is missing."""
    stash = Stash()
    key = StashKey[int]("the event sink")
    assert key not in stash
    with pytest.raises(KeyError, match="the event sink: the plugin that provides it has not been loaded"):
        stash[key]
    stash[key] = 3
    assert key in stash
