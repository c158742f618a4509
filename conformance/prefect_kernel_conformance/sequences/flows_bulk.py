"""Many flows deleted at once."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import wrong_methods
from ._make import deployment, flow, flow_run

GROUP = "flows"
PATH = "/flows/bulk_delete"


@sequence
def delete_many(s: Script) -> None:
    """Flows that match go with their runs and deployments; fifty at most."""
    flows = [flow(s, tags=[letter]) for letter in "abc"]
    run = flow_run(s, flows[0])
    made = deployment(s, flows[0])
    mine = {"flows": {"id": {"any_": [one["id"] for one in flows]}}}
    s.post(PATH, {"flows": {**mine["flows"], "tags": {"all_": ["a"]}}})
    for path in (f"/flows/{flows[0]['id']}", f"/flow_runs/{run['id']}", f"/deployments/{made['id']}"):
        s.get(path)
    s.post("/flows/count", mine)
    s.post(PATH, {**mine, "limit": 50}, unordered=("body.deleted",))
    s.post(PATH, mine)
    s.post("/flows/count", mine)


@sequence(independent=True)
def bad_bulk(s: Script) -> None:
    """Filters and limits that are none."""
    nobody = {"flows": {"id": {"any_": [s.uuid("nobody")]}}}
    for filter_ in ([], "x", 1, {"unknown": 1}, {"id": {"any": []}}, {"id": {"any_": ["x"]}}):
        s.post(PATH, {"flows": filter_})
    for limit in (0, 1, 50, 51, -1, "5", "x", None, 1.0, 1.5, True, [], 2**70):
        s.post(PATH, {**nobody, "limit": limit})
    s.post(PATH, {**nobody, "unknown": 1})
    for body in (True, 1, "text", [[]], [1]):
        s.post(PATH, body)
    wrong_methods(s, PATH, ("POST", "GET", "PATCH", "DELETE"))
