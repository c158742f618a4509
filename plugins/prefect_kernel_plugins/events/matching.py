"""Whether a filter includes an event that has just been received.

The reference's rules for live events: as in SQL, except that patterns are globs, prefixes tell cases of letters apart,
and `related` and `distinct` play no part.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ..common import text_search
from .filters import EventFilter, ResourceSpecification, as_list
from .received import Received


def includes(filter: EventFilter, event: Received) -> bool:
    """Whether the event fulfils every part of a filter whose time span is complete."""
    if not filter.occurred.since <= event.occurred <= filter.occurred.until:
        return False
    name = filter.event
    if name is not None and not (
        (not name.prefix or event.event.startswith(tuple(name.prefix)))
        and not (name.exclude_prefix and event.event.startswith(tuple(name.exclude_prefix)))
        and (not name.name or event.event in name.name)
        and not (name.exclude_name and event.event in name.exclude_name)
    ):
        return False
    if filter.id.id and event.id not in {str(id) for id in filter.id.id}:
        return False
    if filter.resource is not None and not _one_of([event.resource], filter.resource):
        return False
    resources = [event.resource, *event.related]
    if not all(_one_of(resources, one) for one in as_list(filter.any_resource)):
        return False
    return filter.text is None or text_search.found_in(_searched(event), filter.text.query)


def _one_of(resources: Iterable[dict[str, str]], filter: object) -> bool:
    """Whether one resource has one of the ids, one of the prefixes, and all of the labels."""
    ids, prefixes = getattr(filter, "id", None), getattr(filter, "id_prefix", None)
    labels: ResourceSpecification | None = getattr(filter, "labels", None)
    for resource in resources:
        id = resource["prefect.resource.id"]
        if ids and id not in ids:
            continue
        if prefixes and not id.startswith(tuple(prefixes)):
            continue
        if labels is None or _has(resource, labels):
            return True
    return False


def _has(resource: dict[str, str], labels: ResourceSpecification) -> bool:
    return all(
        any(_matches(pattern, resource.get(label)) for pattern in patterns) for label, patterns in labels.others()
    )


def _matches(pattern: str, value: str | None) -> bool:
    if value is None:
        return False
    if pattern.startswith("!"):
        return not fnmatchcase(value, pattern[1:])
    return fnmatchcase(value, pattern)


def _searched(event: Received) -> str:
    resources = (value for resource in (event.resource, *event.related) for value in resource.values())
    return " ".join([event.event, *resources, str(event.payload)])
