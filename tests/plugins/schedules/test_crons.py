"""Cron expressions that are refused, although some croniter knows them; and the dates of plain ones."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import given, settings
from hypothesis import strategies as st

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


NEW_YEAR = datetime(2026, 1, 1)  # noqa: DTZ001 - on a clock without a zone, as these dates are

PARTS = ("*", "*/7", "*/0{n}", "{n}", "0{n}", "{n}-{m}", "{n},{m}", "{n}-{m},{n}")
MOST = (59, 23, 31, 12, 7)


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_plain_expressions_have_the_dates_of_croniter(data: st.DataObject) -> None:
    """Their dates come from cronsim, which must agree, also about those that do not come."""
    fields = []
    for place, most in enumerate(MOST):
        low = 0 if place in (0, 1, 4) else 1
        n, m = (data.draw(st.integers(low, most)) for _ in range(2))
        fields.append(data.draw(st.sampled_from(PARTS)).format(n=n, m=m))
    try:
        expression = cron.parse(" ".join(fields))
    except cron.BadCron:
        return
    after = data.draw(st.datetimes(NEW_YEAR, NEW_YEAR.replace(year=2036)))
    day_or = data.draw(st.booleans())
    expected = croniter(expression, after.replace(microsecond=0), day_or=day_or)
    found = cron.moments(expression, after, day_or=day_or)
    for _ in range(5):
        try:
            moment = expected.get_next(datetime)
        except CroniterBadDateError:
            with pytest.raises(CroniterBadDateError):
                next(found)
            return
        assert next(found) == moment


@pytest.mark.parametrize("text", ["* * 31 9 *", "0 0 30,31 2 *", "0 0 31 2 1"])
def test_a_day_that_does_not_come(text: str) -> None:
    """It is said, not searched for without end."""
    with pytest.raises(CroniterBadDateError):
        next(cron.moments(cron.parse(text), NEW_YEAR, day_or=False))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 1,31 * *", ["03-31", "04-01", "05-01", "05-31"]),
        ("0 0 1,15,30 * *", ["03-15", "03-30", "04-01", "04-15"]),
        ("0 0 1,30 * mon", ["03-03", "03-10", "03-17", "03-24"]),
        ("0 0 3,29 * *", ["03-03", "03-29", "04-03", "04-29"]),
        ("0 0 31 * *", ["03-31", "05-31", "07-31", "08-31"]),
    ],
)
def test_what_february_lacks_hides_the_first_days_of_march(text: str, days: list[str]) -> None:
    """As Prefect 3.8.8 has it; later croniters do not."""
    found = islice(cron.moments(cron.parse(text), datetime(2031, 2, 27, 18), day_or=True), 4)  # noqa: DTZ001
    assert [f"{moment:%m-%d}" for moment in found] == days
