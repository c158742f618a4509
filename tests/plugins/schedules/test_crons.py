"""Cron expressions that are refused, although some croniter knows them."""

from __future__ import annotations

import pytest

from prefect_kernel_plugins.schedules import cron


@pytest.mark.parametrize("text", ["0 0 15W * *", "0 0 w15 * *", "0 0 1,15w * *", "0 0 15W * * 30"])
def test_the_nearest_weekday_is_not_known(text: str) -> None:
    """Prefect 3.8.8 refuses it, so a database that both servers use cannot have it."""
    with pytest.raises(ValueError, match="Invalid cron string"):
        cron.validate(text)


@pytest.mark.parametrize("text", ["0 0 * * wed", "0 0 * * L3", "0 0 L * wed#2", "0 0 1 jan-MAR/2 ?"])
def test_names_and_signs_that_are_known(text: str) -> None:
    """A day whose name has that letter is no such thing."""
    assert cron.validate(text) == text
