"""The fast table: which template a path fits, and what it says of the path."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_kernel.errors import PluginError
from prefect_kernel.web.table import Table

ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

SEGMENTS = ["flows", "filter", "name", "{id:uuid}", "{name}"]


def table(*routes: str) -> Table[str]:
    """A table in which each route leads to itself."""
    made: Table[str] = Table()
    for route in routes:
        method, template = route.split(" ")
        made.add(method, template, route)
    return made


def found(made: Table[str], path: str) -> tuple[list[str], dict[str, str]] | None:
    """The routes that a path leads to, and its parameters."""
    match = made.match(path)
    return None if match is None else (list(match[0].values()), match[1])


def test_a_fixed_segment_wins_over_an_id_and_an_id_over_a_name() -> None:
    """Whatever the order in which they were declared."""
    made = table("GET /flows/{name}", "GET /flows/{id:uuid}", "GET /flows/filter")
    assert found(made, "/flows/filter") == (["GET /flows/filter"], {})
    assert found(made, f"/flows/{ID}") == (["GET /flows/{id:uuid}"], {"id": ID})
    assert found(made, "/flows/mine") == (["GET /flows/{name}"], {"name": "mine"})


@pytest.mark.parametrize("written", [ID, ID.upper(), ID.replace("-", ""), ID.replace("-", "", 1)])
def test_ids_come_in_canonical_form(written: str) -> None:
    """However a client has written them."""
    assert found(table("GET /flows/{id:uuid}"), f"/flows/{written}") == (["GET /flows/{id:uuid}"], {"id": ID})


@pytest.mark.parametrize("path", ["/flows/none", f"/flows/{ID}0", f"/flows/{ID[:-1]}", f"/flows/{ID}/", "/flows/", ""])
def test_what_is_no_id_fits_no_id(path: str) -> None:
    """Such a path is unknown, as one with a segment too many or too few is."""
    assert found(table("GET /flows/{id:uuid}"), path) is None


def test_an_empty_segment_is_no_name() -> None:
    """`//` hides no name."""
    assert found(table("GET /variables/name/{name}"), "/variables/name/") is None


def test_a_dead_end_is_left_again() -> None:
    """Where the better fit ends in nothing the other one is tried."""
    made = table("GET /flows/{id:uuid}/graph", "GET /flows/{name}/labels")
    assert found(made, f"/flows/{ID}/labels") == (["GET /flows/{name}/labels"], {"name": ID})


def test_the_rest_of_a_path() -> None:
    """A `path` parameter takes all segments that are left, decoded."""
    assert found(table("GET /views/{view:path}"), "/views/a/b%20c/d") == (
        ["GET /views/{view:path}"],
        {"view": "a/b c/d"},
    )


def test_every_template_that_fits_the_best_first() -> None:
    """So that a method of the second best can be found."""
    made = table("GET /flows/filter", "DELETE /flows/{name}")
    assert [list(leaf) for leaf, _ in made.matches("/flows/filter")] == [["GET"], ["DELETE"]]


def test_the_method_that_is_named_for_a_wrong_one() -> None:
    """The one that was declared first."""
    made = table("DELETE /flows/{name}", "GET /flows/filter", "POST /flows/filter")
    assert made.first_method("/flows/filter") == "DELETE"


@pytest.mark.parametrize("template", ["/flows/", "/flows/{id:uuid}"])
def test_a_route_can_be_declared_once(template: str) -> None:
    """The second one is an error that names it."""
    made = table(f"GET {template}")
    with pytest.raises(PluginError, match="declared twice"):
        made.add("GET", template, "again")


TEMPLATES = [template for length in (1, 2, 3) for template in itertools.product(SEGMENTS, repeat=length)]


@given(st.sets(st.sampled_from(TEMPLATES), min_size=1, max_size=20), st.integers(0))
def test_every_route_is_reached(templates: set[tuple[str, ...]], pick: int) -> None:
    """A path made from a template fits it, and `match` gives the best of `matches`."""
    ordered = sorted(templates)
    made = table(*(f"GET /{'/'.join(template)}" for template in ordered))
    template = ordered[pick % len(ordered)]
    values = {"{id:uuid}": str(uuid.UUID(int=7)), "{name}": "something"}
    path = "/" + "/".join(values.get(segment, segment) for segment in template)
    fitting = made.matches(path)
    assert f"GET /{'/'.join(template)}" in [leaf["GET"] for leaf, _ in fitting]
    assert made.match(path) == fitting[0]
