"""Lists of artifacts and of the latest artifacts of keys. Imported once all slices are: bodies hold their filters."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import Sort, count_statement, page_statement

from ..common.paging import Filtered, Listed, checked_limit, read_list, read_number
from .filters import ARTIFACTS, COLLECTIONS
from .group import group
from .tables import artifact, artifact_collection
from .wire import ARTIFACT_COLUMNS, ARTIFACT_WIRE, COLLECTION_COLUMNS, COLLECTION_WIRE


class ArtifactSort(str, Enum):
    """How lists of artifacts can be sorted."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    ID_DESC = "ID_DESC"
    KEY_DESC = "KEY_DESC"
    KEY_ASC = "KEY_ASC"


def _sort(table: Any, sort: str) -> Sort:
    column, _, direction = sort.rpartition("_")
    return table.c[column.lower()], direction == "DESC"


class _List(Listed):
    sort: ArtifactSort = ArtifactSort.ID_DESC


ArtifactList = ARTIFACTS.body("ArtifactList", _List, order="limit sort offset *")
ArtifactCount = ARTIFACTS.body("ArtifactCount", Filtered)
ArtifactCollectionList = COLLECTIONS.body("ArtifactCollectionList", _List, order="limit sort offset *")
ArtifactCollectionCount = COLLECTIONS.body("ArtifactCollectionCount", Filtered)


@lru_cache(256)
def page(shape: Shape, sort: str) -> Statement:
    """One page of the artifacts that match a shape."""
    return page_statement(
        artifact, ARTIFACT_COLUMNS, lambda found: found, ARTIFACTS.conditions(shape), _sort(artifact, sort)
    )


@lru_cache(256)
def latest_page(shape: Shape, sort: str) -> Statement:
    """One page of the collections that match a shape."""
    return page_statement(
        artifact_collection,
        COLLECTION_COLUMNS,
        lambda found: found,
        COLLECTIONS.conditions(shape),
        _sort(artifact_collection, sort),
    )


@lru_cache(256)
def count(shape: Shape) -> Statement:
    """The number of artifacts that match a shape."""
    return count_statement(artifact, ARTIFACTS.conditions(shape))


@lru_cache(256)
def latest_count(shape: Shape) -> Statement:
    """The number of collections that match a shape."""
    return count_statement(artifact_collection, COLLECTIONS.conditions(shape))


@group.post("/filter", body=ArtifactList, embed=True, permission="read", response="Artifact[]")
async def read_artifacts(request: web.Request, body: Any) -> web.Reply:
    """The artifacts that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(ARTIFACTS.take(body, params), body.sort.value)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, ARTIFACT_WIRE, statement, params))


@group.post(
    "/latest/filter", body=ArtifactCollectionList, embed=True, permission="read", response="ArtifactCollection[]"
)
async def read_latest_artifacts(request: web.Request, body: Any) -> web.Reply:
    """The latest artifacts of keys that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = latest_page(COLLECTIONS.take(body, params), body.sort.value)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, COLLECTION_WIRE, statement, params))


@group.post("/count", body=ArtifactCount, embed=True, permission="read", response=int)
async def count_artifacts(request: web.Request, body: Any) -> web.Reply:
    """How many artifacts match."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, count(ARTIFACTS.take(body, params)), params))


@group.post("/latest/count", body=ArtifactCollectionCount, embed=True, permission="read", response=int)
async def count_latest_artifacts(request: web.Request, body: Any) -> web.Reply:
    """How many keys have a latest artifact that matches."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, latest_count(COLLECTIONS.take(body, params)), params))
