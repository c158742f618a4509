"""What filters mean, said as plainly as possible: conditions on dicts, with SQL's unknown as None."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from .data import Row, Rows

Truth = bool | None


def both(values: Iterable[Truth]) -> Truth:
    """AND with unknown."""
    values = list(values)
    return False if False in values else None if None in values else True


def either(values: Iterable[Truth]) -> Truth:
    """OR with unknown."""
    values = list(values)
    return True if True in values else None if None in values else False


def combined(filter: Row, values: list[Truth]) -> Truth:
    """By the filter's own operator; of no conditions all hold."""
    return both(values) if filter.get("operator", "and_") == "and_" or not values else either(values)


def like(value: str | None, pattern: str, *, anchored: bool = False) -> Truth:
    """ILIKE: any letters for %, one for _, ASCII letters of either case."""
    if value is None:
        return None
    parts = "".join(".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    expression = parts + ".*" if anchored else ".*" + parts + ".*"
    return re.fullmatch(expression, value, re.IGNORECASE | re.ASCII | re.DOTALL) is not None


def at(text: str) -> datetime:
    """A time as given; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def column(filter: Row, value: Any, null: Any = ...) -> list[Truth]:
    """The conditions of a leaf on one value; `null` is what `is_null_` looks at."""
    null = value if null is ... else null
    out: list[Truth] = []
    for name, wanted in filter.items():
        if wanted is None or name == "operator" or (name in ("not_any_", "like_", "startswith_") and not wanted):
            continue
        if name == "is_null_":
            out.append((null is None) == wanted)
        elif value is None:
            out.append(None if wanted != [] else False)
        elif name in ("any_", "id_", "type_"):
            out.append(value in wanted)
        elif name == "not_any_":
            out.append(value not in wanted)
        elif name == "like_":
            out.append(like(value, wanted))
        elif name == "startswith_":
            out.append(either(like(value, item, anchored=True) for item in wanted))
        elif name == "before_":
            out.append(value <= at(wanted))
        elif name == "after_":
            out.append(value >= at(wanted))
        elif name == "eq_":
            out.append(value is wanted)
        else:
            raise AssertionError(name)
    return out


def tags(filter: Row, value: list[str]) -> list[Truth]:
    """Conditions on a list of tags."""
    out: list[Truth] = []
    if filter.get("all_"):
        out.append(set(filter["all_"]) <= set(value))
    if filter.get("any_") is not None:
        out.append(bool(set(filter["any_"]) & set(value)))
    if filter.get("is_null_") is not None:
        out.append((value == []) == filter["is_null_"])
    return out


def state(filter: Row, row: Row) -> list[Truth]:
    """A part with both operators, or none, counts for nothing."""
    out: list[Truth] = []
    for name in ("type", "name"):
        conditions = column(filter.get(name) or {}, row[f"state_{name}"])
        if len(conditions) == 1:
            out += conditions
    return out


class Model:
    """Decides which rows match the filters of a request."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.by_id = {row["id"]: row for table in rows.values() for row in table}

    def matches(self, kind: str, filter: Row, row: Row) -> Truth:
        """One filter on one row of its own kind."""
        members: dict[str, Callable[[Row, Row], list[Truth]]] = getattr(self, kind)()
        values = []
        for name, part in filter.items():
            if name != "operator" and part is not None:
                conditions = members[name](part, row) if name in members else column(part, row[name])
                values.append(combined(part, conditions))
        return combined(filter, values)

    def flows(self) -> dict[str, Any]:
        def with_deployment(part: Row, row: Row) -> list[Truth]:
            has = any(one["flow_id"] == row["id"] for one in self.rows["deployment"])
            return [] if part.get("is_null_") is None else [has != part["is_null_"]]

        return {"tags": lambda part, row: tags(part, row["tags"]), "deployment": with_deployment}

    def flow_runs(self) -> dict[str, Any]:
        def created_by(part: Row, row: Row) -> list[Truth]:
            origin = row["created_by"] or {}
            out = []
            for name, key in (("id_", "id"), ("type_", "type")):
                out += column({name: part.get(name)}, origin.get(key))
            return out + column({"is_null_": part.get("is_null_")}, row["created_by"])

        def parent(part: Row, row: Row) -> list[Truth]:
            if part.get("any_") is None:
                return []
            task = self.by_id.get(row["parent_task_run_id"])
            return [task is not None and task["flow_run_id"] in part["any_"]]

        def start(part: Row, row: Row) -> list[Truth]:
            return column(part, row["start_time"] or row["expected_start_time"], row["start_time"])

        return {
            "tags": lambda part, row: tags(part, row["tags"]),
            "state": state,
            "start_time": start,
            "parent_flow_run_id": parent,
            "created_by": created_by,
        }

    def task_runs(self) -> dict[str, Any]:
        def of_flow_run(part: Row, row: Row) -> list[Truth]:
            null, wanted = part.get("is_null_", False), part.get("any_")
            if null or (null is False and wanted is None):
                return [(row["flow_run_id"] is None) == null]
            return [] if wanted is None else column({"any_": wanted}, row["flow_run_id"])

        def subflows(part: Row, row: Row) -> list[Truth]:
            has = any(one["parent_task_run_id"] == row["id"] for one in self.rows["flow_run"])
            return [] if part.get("exists_") is None else [has == part["exists_"]]

        return {
            "tags": lambda part, row: tags(part, row["tags"]),
            "state": state,
            "flow_run_id": of_flow_run,
            "subflow_runs": subflows,
        }

    def deployments(self) -> dict[str, Any]:
        def either_name(part: Row, row: Row) -> list[Truth]:
            names = (row["name"], self.by_id[row["flow_id"]]["name"])
            return [either(like(name, part["like_"]) for name in names)] if part.get("like_") else []

        return {
            "tags": lambda part, row: tags(part, row["tags"]),
            "flow_or_deployment_name": either_name,
            "concurrency_limit": lambda *_: [],
        }

    def work_pools(self) -> dict[str, Any]:
        return {}

    def work_pool_queues(self) -> dict[str, Any]:
        return {}

    def holds(self, kind: str, body: Row, *links: tuple[str, Row | None]) -> bool:
        """Whether related rows are there and match their filters, where the request has these."""
        return all(
            row is not None and self.matches(name, body[name], row) is True for name, row in links if name in body
        )

    def found(self, kind: str, body: Row) -> list[Row]:
        """The rows that a request finds."""
        table = self.rows[kind.removesuffix("s")]
        test = {"flows": self._flow, "flow_runs": self._flow_run, "task_runs": self._task_run}[kind]
        return [row for row in table if self.holds(kind, body, (kind, row)) and test(body, row)]

    def _pool(self, queue_id: str | None) -> Row | None:
        queue = self.by_id.get(queue_id)
        return None if queue is None else self.by_id[queue["work_pool_id"]]

    def _tasks(self, body: Row, run: Row) -> bool:
        """Whether a task run of a flow run matches, where the request asks for one."""
        return "task_runs" not in body or any(
            task["flow_run_id"] == run["id"] and self.holds("", body, ("task_runs", task))
            for task in self.rows["task_run"]
        )

    def _flow(self, body: Row, row: Row) -> bool:
        deployments = [one for one in self.rows["deployment"] if one["flow_id"] == row["id"]]
        runs = [one for one in self.rows["flow_run"] if one["flow_id"] == row["id"]]
        by_deployment = not {"deployments", "work_pools"} & body.keys() or any(
            self.holds("", body, ("deployments", one), ("work_pools", self._pool(one["work_queue_id"])))
            for one in deployments
        )
        by_run = not {"flow_runs", "task_runs"} & body.keys() or any(
            self.holds("", body, ("flow_runs", one)) and self._tasks(body, one) for one in runs
        )
        return by_deployment and by_run

    def _flow_run(self, body: Row, row: Row) -> bool:
        return self._tasks(body, row) and self.holds(
            "",
            body,
            ("flows", self.by_id[row["flow_id"]]),
            ("deployments", self.by_id.get(row["deployment_id"])),
            ("work_pools", self._pool(row["work_queue_id"])),
            ("work_pool_queues", self.by_id.get(row["work_queue_id"])),
        )

    def _task_run(self, body: Row, row: Row) -> bool:
        if not {"flows", "flow_runs", "deployments"} & body.keys():
            return True
        run = self.by_id.get(row["flow_run_id"])
        return run is not None and self.holds(
            "",
            body,
            ("flow_runs", run),
            ("flows", self.by_id[run["flow_id"]]),
            ("deployments", self.by_id.get(run["deployment_id"])),
        )
