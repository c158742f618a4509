"""The same races, before two servers on one database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from tests.races.crowd import CLIENTS, Crowd, verdicts


@pytest.fixture(scope="module")
def crowd(make_crowd: Callable[[int], Crowd]) -> Crowd:
    """Sixty-four clients of two server processes on one database."""
    return make_crowd(2)


def test_one_worker_gets_a_scheduled_run(crowd: Crowd) -> None:
    """Of 64 workers at two servers that take a scheduled run, exactly one is accepted."""
    run = crowd.run(state={"type": "SCHEDULED"})
    pending = ("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
    assert verdicts(crowd.rush(*[pending] * CLIENTS)) == {"ACCEPT": 1, "ABORT": CLIENTS - 1}
    assert crowd.states(run) == ["Scheduled", "Pending"]


def test_limited_runs_get_exactly_the_slots(crowd: Crowd) -> None:
    """With a limit of 5, two servers let 5 of 64 runs begin, and take 5 slots back."""
    flow, deployment, limit = crowd.limited_deployment(5)
    runs = [crowd.run(flow_id=flow, deployment_id=deployment, state={"type": "SCHEDULED"}) for _ in range(CLIENTS)]

    def proposal(run: str, type: str) -> tuple[str, str, dict[str, dict[str, str]]]:
        return "POST", f"/flow_runs/{run}/set_state", {"state": {"type": type}}

    answers = crowd.rush(*(proposal(run, "PENDING") for run in runs))
    assert verdicts(answers) == {"ACCEPT": 5, "REJECT": CLIENTS - 5}
    assert crowd.active_slots(limit) == 5
    admitted = [run for run, answer in zip(runs, answers, strict=True) if answer.json()["status"] == "ACCEPT"]
    verdicts(crowd.rush(*(proposal(run, "COMPLETED") for run in admitted for _ in range(6))))
    assert crowd.active_slots(limit) == 0


def test_slots_of_a_named_limit(crowd: Crowd) -> None:
    """With a limit of 5, 5 of 64 clients get a slot and a lease; whatever is done at once, in the end none is left."""
    limits = [crowd.post("/v2/concurrency_limits/", {"name": name, "limit": 5})["id"] for name in ("one", "other")]
    taking = {"slots": 1, "mode": "concurrency", "lease_duration": 300}
    path = "/v2/concurrency_limits"
    orders = (["one", "other"], ["other", "one"])
    answers = crowd.rush(
        *[("POST", f"{path}/increment-with-lease", {**taking, "names": names}) for names in orders] * (CLIENTS // 2)
    )
    assert Counter(answer.status_code for answer in answers) == {200: 5, 423: CLIENTS - 5}
    assert [crowd.active_slots(limit) for limit in limits] == [5, 5]
    leases = [answer.json()["lease_id"] for answer in answers if answer.status_code == 200]
    renewals = [("POST", f"{path}/leases/{lease}/renew", {"lease_duration": 300}) for lease in leases]
    answers = crowd.rush(*renewals * 6)
    assert Counter(answer.status_code for answer in answers) == {204: 30}
    ends = [("POST", f"{path}/decrement-with-lease", {"lease_id": lease}) for lease in leases]
    answers = crowd.rush(*(ends + renewals) * 6)
    assert Counter(answer.status_code for answer in answers)[204] >= 30
    assert [crowd.active_slots(limit) for limit in limits] == [0, 0]
    # Whoever gets a slot gives it back, while others do the same on both servers.
    taken, given = {"slots": 1, "names": ["one", "other"]}, {"slots": 1, "names": ["other", "one"]}

    async def work(client: httpx.AsyncClient, number: int) -> None:
        url = crowd.servers[number % len(crowd.servers)].api_url + path
        for _ in range(5):
            answer = await client.post(f"{url}/increment", json=taken)
            assert answer.status_code in (200, 423), answer.text
            if answer.status_code == 200:
                (await client.post(f"{url}/decrement", json=given)).raise_for_status()

    crowd.together(16, work)
    assert [crowd.active_slots(limit) for limit in limits] == [0, 0]


def test_nothing_is_made_twice(crowd: Crowd) -> None:
    """One flow per name and one run per idempotency key, also when two servers are asked for them at once."""
    answers = crowd.rush(*[("POST", "/flows/", {"name": "one"})] * CLIENTS)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CLIENTS - 1}
    body = {"flow_id": answers[0].json()["id"], "idempotency_key": "key"}
    answers = crowd.rush(*[("POST", "/flow_runs/", body)] * CLIENTS)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CLIENTS - 1}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_no_label_is_lost(crowd: Crowd) -> None:
    """64 clients add a label each through two servers: all are there."""
    run = crowd.run()
    answers = crowd.rush(*[("PATCH", f"/flow_runs/{run}/labels", {f"label-{n}": n}) for n in range(CLIENTS)])
    assert Counter(answer.status_code for answer in answers) == {204: CLIENTS}
    assert {f"label-{n}" for n in range(CLIENTS)} <= crowd.get(f"/flow_runs/{run}")["labels"].keys()
