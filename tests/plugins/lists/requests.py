"""Random requests with filters of every kind, field and operator."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .data import NAMES, STATES, TAGS, Rows

NOBODY = "00000000-0000-4000-8000-000000000000"
TIMES = ["2029-12-29T00:00:00Z", "2029-12-30T10:00:00+05:00", "2029-12-31", "2030-01-01T12:00:00.123456", "2030-01-02"]
ACCEPTED = {
    "flows": ["flows", "flow_runs", "task_runs", "deployments", "work_pools"],
    "flow_runs": ["flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_pool_queues"],
    "task_runs": ["flows", "flow_runs", "task_runs", "deployments"],
}
_START = ["EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC", "NEXT_SCHEDULED_START_TIME_ASC", "END_TIME_DESC"]
SORTS = {
    "flows": ["CREATED_DESC", "UPDATED_DESC", "NAME_ASC", "NAME_DESC"],
    "flow_runs": ["ID_DESC", "START_TIME_ASC", "START_TIME_DESC", "NAME_ASC", "NAME_DESC", *_START],
    "task_runs": ["ID_DESC", "NAME_ASC", "NAME_DESC", *_START],
}

Spec = dict[str, Any]
Value = Callable[[], Any]


class Requests:
    """Makes filters from a seed, with values that occur in `rows` and some that do not."""

    def __init__(self, seed: int, rows: Rows) -> None:
        self.random = random.Random(seed)
        self.rows = rows
        self.filters = self._filters()

    def some(self, pool: list[Any]) -> Value:
        """A list operator's value: often one or a few of the pool, sometimes none, sometimes most."""

        def value() -> list[Any]:
            number = self.random.choice([0, 1, 1, 2, 3, len(pool) // 2, len(pool)])
            return self.random.sample(pool, min(number, len(pool)))

        return value

    def ids(self, table: str, *, not_any: bool = True) -> Spec:
        pool = [*(row["id"] for row in self.rows[table]), NOBODY]
        return {"any_": self.some(pool), **({"not_any_": self.some(pool)} if not_any else {})}

    def names(self, table: str) -> Spec:
        return {"any_": self.some([row["name"] for row in self.rows[table]]), "like_": self.text}

    def text(self) -> str:
        return self.random.choice(["", "1", "RUN", "flow", "%", "_", "é", "T%1", "-", "x_", "deploy"])

    def time(self) -> str:
        return self.random.choice(TIMES)

    def yes(self) -> bool:
        return self.random.random() < 0.5

    def times(self, *, null: bool = True) -> Spec:
        return {"before_": self.time, "after_": self.time, **({"is_null_": self.yes} if null else {})}

    def tags(self, *, any_: bool = False) -> Spec:
        few = self.some([*TAGS[:3], "nowhere"])
        return {"operator": True, "all_": few, "is_null_": self.yes, **({"any_": few} if any_ else {})}

    def _filters(self) -> dict[str, Spec]:
        states, names = self.some(STATES), self.some(NAMES)
        own = {"operator": True}
        return {
            "flows": own
            | {"id": self.ids("flow"), "name": self.names("flow"), "tags": self.tags()}
            | {"deployment": own | {"is_null_": self.yes}},
            "flow_runs": own
            | {"id": self.ids("flow_run"), "name": self.names("flow_run"), "tags": self.tags(any_=True)}
            | {"deployment_id": own | self.ids("deployment", not_any=False) | {"is_null_": self.yes}}
            | {"work_queue_name": own | {"any_": self.some(["x", "y"]), "is_null_": self.yes}}
            | {"state": own | {kind: {"any_": v, "not_any_": v} for kind, v in (("type", states), ("name", names))}}
            | {"flow_version": {"any_": self.some(["v1", "v2"])}, "start_time": self.times(), "end_time": self.times()}
            | {name: self.times(null=False) for name in ("expected_start_time", "next_scheduled_start_time")}
            | {"parent_flow_run_id": own | self.ids("flow_run", not_any=False)}
            | {"parent_task_run_id": own | self.ids("task_run", not_any=False) | {"is_null_": self.yes}}
            | {"idempotency_key": {name: self.some(["key-1", "key-2", "key-3"]) for name in ("any_", "not_any_")}}
            | {
                "created_by": own
                | {"id_": self.ids("deployment")["any_"], "type_": self.some(["DEPLOYMENT", "X"]), "is_null_": self.yes}
            },
            "task_runs": own
            | {"id": self.ids("task_run", not_any=False), "name": self.names("task_run"), "tags": self.tags()}
            | {"state": own | {"type": {"any_": states}, "name": {"any_": names}}}
            | {"start_time": self.times(), "end_time": self.times(), "expected_start_time": self.times(null=False)}
            | {"subflow_runs": {"exists_": self.yes}}
            | {"flow_run_id": own | self.ids("flow_run", not_any=False) | {"is_null_": self.yes}},
            "deployments": own
            | {"id": self.ids("deployment"), "name": self.names("deployment"), "tags": self.tags(any_=True)}
            | {"flow_or_deployment_name": {"like_": self.text}, "paused": {"eq_": self.yes}}
            | {"work_queue_name": {"any_": self.some(["default", "other"])}, "concurrency_limit": {"ge_": lambda: 1}},
            "work_pools": own
            | {"id": self.ids("work_pool", not_any=False), "name": {"any_": self.some(["pool-0", "pool-1"])}}
            | {"type": {"any_": self.some(["process", "k8s"])}},
            "work_pool_queues": own
            | {"id": self.ids("work_queue", not_any=False)}
            | {"name": {"any_": self.some(["default", "q_3"]), "startswith_": self.some(["DEF", "q", "z"])}},
        }

    def fill(self, spec: Spec, share: float) -> dict[str, Any]:
        """An object with about a share of what it may have, at times null."""
        out: dict[str, Any] = {}
        for name, part in spec.items():
            if name == "operator":
                if self.random.random() < 0.4:
                    out[name] = self.random.choice(["and_", "or_"])
            elif self.random.random() < share:
                nothing = self.random.random() < 0.05
                out[name] = None if nothing else self.fill(part, 0.6) if isinstance(part, dict) else part()
        return out

    def filters_of(self, kind: str) -> dict[str, Any]:
        """The filters of one request: mostly its own, at times those of related resources."""
        return {
            name: self.fill(self.filters[name], self.random.choice([0.05, 0.1, 0.2]))
            for name in ACCEPTED[kind]
            if self.random.random() < (0.8 if name == kind else 0.2)
        }
