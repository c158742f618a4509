"""What lists of logs can be filtered by."""

from __future__ import annotations

import operator
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import Field

from prefect_kernel.filtering import AnyOf, Clause, Compare, FilterModel, IsNull, Node, Op, Params, Subject

from ..common import text_search
from ..common.filters import times
from ..common.patterns import like
from .tables import log

_SINGLE = "single"


class _AnyRun(AnyOf):
    """One of these runs. A single one is compared, which lets an index give its lines in the order of time."""

    def take(self, value: list[UUID], params: Params) -> Any:
        if len(value) != 1:
            return super().take(value, params)
        params[self.bind] = str(value[0])
        return _SINGLE

    def clause(self, token: Any) -> Clause:
        if token != _SINGLE:
            return super().clause(token)
        return self.column == sa.bindparam(self.bind, type_=self.column.type)


class LogFilterTextSearch(FilterModel):
    """Words in the message or the logger's name; unlike operators, the query must be given."""

    query: Annotated[str, Field(max_length=text_search.MAX_QUERY_LENGTH)]


class _Text(Op):
    """The query of a text filter."""

    type = str

    def take(self, value: str, params: Params) -> Any:
        patterns = text_search.patterns(value)
        for mode, texts in patterns.items():
            params[f"{self.bind}_{mode}"] = texts
        return tuple(patterns) or None

    def clause(self, token: Any) -> Clause:
        text = sa.func.lower(log.c.message + sa.literal_column("' '") + log.c.name)
        return sa.and_(*(like(text, f"{self.bind}_{mode}", mode) for mode in token))


class _TextNode(Node):
    @property
    def model(self) -> type[FilterModel]:
        return LogFilterTextSearch


LOG_FILTER = Node(
    "LogFilter",
    operator=True,
    level=Node(ge_=Compare(log.c.level, operator.ge, int), le_=Compare(log.c.level, operator.le, int)),
    timestamp=times(log.c.timestamp),
    flow_run_id=Node(any_=_AnyRun(log.c.flow_run_id, UUID)),
    task_run_id=Node(any_=_AnyRun(log.c.task_run_id, UUID), is_null_=IsNull(log.c.task_run_id)),
    text=_TextNode(query=_Text()),
)

LOGS = Subject("logs", LOG_FILTER, ["logs"])
"""Lists of logs."""
