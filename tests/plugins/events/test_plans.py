"""Hot queries are answered from indexes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.events import counting, reads
from prefect_kernel_plugins.events.conditions import Conditions
from prefect_kernel_plugins.events.filters import EventFilter

from .support import event, send


def plan(kernel: KernelUnderTest, statement: Statement, params: dict[str, Any]) -> str:
    """How the database would find the rows of a statement."""
    storage = kernel.kernel.storage
    sqlite = storage.dialect == "sqlite"
    compiled = statement.compiled(storage.dialect)
    explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "

    class Explained:
        text, returns_rows = explain + compiled.text, True
        arguments, width = compiled.arguments, compiled.width

        @staticmethod
        def rows(found: Any) -> list[Any]:
            return list(found)

    class Question:
        raw = True

        def compiled(self, dialect: str) -> Any:
            return Explained

    def unit() -> Unit[str]:
        if not sqlite:
            yield Statement(sa.text("ANALYZE events"))()
        question: Any = statement.bind(params)
        question.statement = Question()
        found = yield question
        return "\n".join(str(line[-1]) for line in found)

    return kernel.run(storage.write(unit))


def hot(kernel: KernelUnderTest, *names: str) -> Conditions:
    """A filter by name and time, among many events."""
    for n in range(6):
        send(kernel, *(event(kernel, f"test.{n}", id=uuid4()) for _ in range(300)))
    filter = EventFilter.model_validate({"event": {"name": list(names)}})
    filter.occurred.resolve(kernel.clock.now())
    return Conditions(filter)


def test_a_count_by_name_reads_an_index_alone(kernel: KernelUnderTest) -> None:
    """The total of a filter by name and time looks at no row of the table."""
    conditions = hot(kernel, "test.3")
    found = plan(kernel, reads.total_statement(conditions.shape, False), conditions.params)
    if kernel.kernel.storage.dialect == "sqlite":
        assert "USING COVERING INDEX ix_events__event_occurred_id" in found
    else:
        assert "ix_events__event" in found
        assert "Seq Scan" not in found


def test_a_page_by_name_is_read_in_order(kernel: KernelUnderTest) -> None:
    """The newest event of a name is found without sorting all of them."""
    conditions = hot(kernel, "test.3")
    statement = reads.page_statement(conditions.shape, True, False)
    found = plan(kernel, statement, conditions.params | {"limit": 1, "offset": 0})
    assert "ix_events__event_occurred_id" in found
    assert "B-TREE" not in found
    assert "Sort" not in found


def test_counts_of_all_sort_no_events(kernel: KernelUnderTest) -> None:
    """By name, SQLite counts in an index one name after the other; by resource it looks up the latest events' rows."""
    if kernel.kernel.storage.dialect != "sqlite":
        return
    filter = EventFilter()
    filter.occurred.resolve(kernel.clock.now())
    conditions = Conditions(filter)
    found = plan(kernel, counting.by_name(conditions.shape), conditions.params)
    assert "(event=? AND occurred>? AND occurred<?)" in found
    assert "GROUP BY" not in found
    assert "SCAN events" not in found
    found = plan(kernel, counting.by_resource(conditions.shape), conditions.params)
    assert "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)" in found


def test_names_are_compared_once(kernel: KernelUnderTest) -> None:
    """Whose name begins so is counted in an index, name by name; not every event of the time is looked at."""
    if kernel.kernel.storage.dialect != "sqlite":
        return
    filter = EventFilter.model_validate({"event": {"prefix": ["test."], "exclude_prefix": ["test.a"]}})
    filter.occurred.resolve(kernel.clock.now())
    conditions = Conditions(filter)
    for statement in (reads.total_statement(conditions.shape, False), counting.by_name(conditions.shape)):
        found = plan(kernel, statement, conditions.params)
        assert "USING COVERING INDEX ix_events__event_occurred_id (event=? AND occurred>? AND occurred<?)" in found
        assert "SCAN events" not in found
