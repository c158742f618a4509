"""What the routes that answer lists have in common: limits, pages, their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from prefect_kernel import errors, web
from prefect_kernel.later import Later
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.web.validation import Beforehand
from prefect_kernel.wire import Wire

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel
    from prefect_kernel.filtering import Node, Subject


def checked_limit(request: web.Request, limit: int | None) -> int:
    """The limit to read with: the server's own when none is given, which is also the greatest. Raises Unprocessable."""
    greatest: int = request.kernel.settings.server.api.default_limit
    if limit is None:
        return greatest
    if limit < 0:
        raise errors.Unprocessable("Invalid limit: must be greater than or equal to 0.")
    if limit > greatest:
        raise errors.Unprocessable(f"Invalid limit: must be less than or equal to {greatest}.")
    return limit


PageLimit = Annotated[int | None, Beforehand(int | None, checked_limit)]
"""How many rows; None is as many as there may be. Prefect refuses a wrong one before it looks at the rest of a body."""


class Filtered(BaseModel):
    """Base of bodies that hold filters; unknown keys beside them are ignored. Built on first use: they are large."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore", defer_build=True, populate_by_name=False)


class Listed(Filtered):
    """A list from `offset` on; without a limit the server's own holds."""

    limit: PageLimit = None
    offset: Annotated[int, Field(ge=0)] = 0


class Paged(Filtered):
    """Page `page` of a list, `limit` rows each."""

    limit: PageLimit = None
    page: Annotated[int, Field(ge=1)] = 1


def listed_between(title: str, filters: Subject, **more: Any) -> Later:
    """The body of a list whose reference declares the filters before `more` and the offset.

    The order of members is that of the errors about them.
    """
    return listed_after(title, {key: filters.nodes[key] for key in filters.accepts}, **more)


def listed_after(title: str, filters: Mapping[str, Node], **more: Any) -> Later:
    """The body of a list whose reference declares `filters` and `more` (type and default of each) before the offset."""
    offset: Any = (Annotated[int, Field(ge=0)], 0)

    def make() -> Any:
        nodes: dict[str, Any] = {key: (node.model | None, None) for key, node in filters.items()}
        return create_model(title, __base__=Filtered, **{"limit": (PageLimit, None), **nodes, **more, "offset": offset})

    return Later(make)


def filtered_by(title: str, base: type[BaseModel], name: str, node: Node, **more: Any) -> Later:
    """The body of a list, a count or a bulk operation with one filter, and with `more` members."""
    return Later(lambda: create_model(title, __base__=base, **{name: (node.model | None, None), **more}))


def read_list(kernel: Kernel, wire: Wire, statement: Statement, params: dict[str, object]) -> Unit[bytes]:
    """The rows of a page statement as a JSON array."""
    rows = yield statement.bind(params)
    return wire.many(kernel.storage.dialect, rows, kernel.clock.now())


def read_page(
    kernel: Kernel, wire: Wire, statement: Statement, count: Statement, params: dict[str, object], limit: int, page: int
) -> Unit[bytes]:
    """A page with the number of all matches."""
    total = (yield count.bind(params))[0][0]
    rows = (yield statement.bind({**params, "limit": limit, "offset": (page - 1) * limit})) if limit else []
    pages = -(-total // limit) if limit else 0
    tail = f'"count":{total},"limit":{limit},"pages":{pages},"page":{page}'
    return b'{"results":' + wire.many(kernel.storage.dialect, rows, kernel.clock.now()) + b"," + tail.encode() + b"}"


def read_number(statement: Statement, params: dict[str, object]) -> Unit[bytes]:
    """The one value of a statement, a whole number."""
    rows = yield statement.bind(params)
    return b"%d" % rows[0][0]
