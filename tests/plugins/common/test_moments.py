"""Points in time in the spellings of ISO 8601; what is expected is what the reference gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from prefect_kernel_plugins.common.fields import OffsetDateTime

MOMENT: TypeAdapter[datetime] = TypeAdapter(OffsetDateTime)
READ = {
    "20260101T000000Z": "2026-01-01T00:00:00+00:00",
    "20260203T102030.5-0330": "2026-02-03T10:20:30.500000-03:30",
    "20260203T10:20+02:00": "2026-02-03T10:20:00+02:00",
    "2026-W01": "2025-12-29T00:00:00+00:00",
    "2026W052T10": "2026-01-27T10:00:00+00:00",
    "2020-W53-7": "2021-01-03T00:00:00+00:00",
    "2026-001T10:00": "2026-01-01T10:00:00+00:00",
    "2026-01": "2026-01-01T00:00:00+00:00",
    "2026/02/03": "2026-02-03T00:00:00+00:00",
    "2026-01-01T00": "2026-01-01T00:00:00+00:00",
    "2026-01-01T00:00:00.123456789Z": "2026-01-01T00:00:00.123456+00:00",
}
REFUSED = (
    "", "2026-1-1", "01/02/2026", "2026-02-30", "2026-W54", "2026-366", "2026-000", "2026-13", "2026-034T1020", "later",
    "20260203T10:20:30", "2026-01-01T25:00", "2026/01", "2026-02-03T10z", "2020-W537T10", "P1D",
)  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_read(text: str) -> None:
    """Days, weeks and days of the year, with a clock or without."""
    assert MOMENT.validate_python(text).isoformat() == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    """What is no point in time is told so."""
    with pytest.raises(ValidationError, match="Unable to parse string"):
        MOMENT.validate_python(text)


def test_of_today() -> None:
    """A time alone is one of today; a zone with it does not count."""
    for text in ("12:00", "T1200", "12:00+01:00"):
        moment = MOMENT.validate_python(text)
        assert (moment.hour, moment.minute, moment.utcoffset()) == (12, 0, timedelta(0))
    assert abs(MOMENT.validate_python("now") - datetime.now(UTC)) < timedelta(minutes=5)
