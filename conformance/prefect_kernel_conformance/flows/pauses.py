"""Pause and resume with input, suspend, cancellation of a local run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from _summary import client, main, resume, summary
from prefect import flow, pause_flow_run, suspend_flow_run, task
from prefect.input import RunInput
from prefect.runtime import flow_run as current
from prefect.states import Cancelled, Cancelling


class Answer(RunInput):
    """What is asked for."""

    number: int
    word: str = "none"


STARTED: list[UUID] = []


def _note() -> None:
    STARTED.append(UUID(current.id))


@task
def double(x: int) -> int:
    return 2 * x


@flow(name="conformance-asks")
def asks() -> list[Any]:
    _note()
    answer = pause_flow_run(wait_for_input=Answer.with_initial_data(word="given"), timeout=60, poll_interval=0.3)
    return [double(answer.number), answer.word]


@flow(name="conformance-pauses")
def pauses() -> int:
    _note()
    pause_flow_run(timeout=60, poll_interval=0.3, key="once")
    return double(3)


def _in_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(function())
        except BaseException as error:
            got.append(error)

    STARTED.clear()
    thread = threading.Thread(target=run)
    thread.start()
    return thread, got


def _wait_for_state(type_: str) -> UUID:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        if STARTED:
            state = client().read_flow_run(STARTED[0]).state
            if state is not None and state.type.value == type_:
                return STARTED[0]
        time.sleep(0.1)
    raise AssertionError(f"the run never became {type_}")


def pause_with_input() -> Any:
    """A run waits for input of a type, bad input is refused, good input lets it go on."""
    thread, got = _in_thread(lambda: asks(return_state=True))
    id_ = _wait_for_state("PAUSED")
    api = client()
    refused = resume(api, id_, run_input={"number": "nothing"})
    accepted = resume(api, id_, run_input={"number": 21, "word": "said"})
    thread.join(60)
    assert got[0].result() == [42, "said"], got
    assert (refused.status.value, accepted.status.value) == ("REJECT", "ACCEPT")
    shown = summary(id_, 1)
    assert [one[1] for one in shown["states"]] == ["Pending", "Running", "Paused", "Running", "Completed"]
    assert shown["run_count"] == 2
    return [str(refused.details), shown]


def pause_and_resume() -> Any:
    """A pause with a key, resumed without input."""
    thread, got = _in_thread(lambda: pauses(return_state=True))
    id_ = _wait_for_state("PAUSED")
    resume(client(), id_)
    thread.join(60)
    assert got[0].result() == 6, got
    return summary(id_, 1)


@flow(name="conformance-times-out")
def gives_up() -> None:
    _note()
    pause_flow_run(timeout=1, poll_interval=0.3)


def pause_that_times_out() -> Any:
    """A pause nobody ends."""
    thread, got = _in_thread(lambda: gives_up(return_state=True))
    thread.join(60)
    return [type(got[0]).__name__, summary(STARTED[0], 0, logs=False)]


@flow(name="conformance-suspends")
def suspends() -> None:
    _note()
    suspend_flow_run(timeout=60)


def suspend_without_deployment() -> Any:
    """Only runs of deployments can be suspended."""
    thread, got = _in_thread(lambda: suspends(return_state=True))
    thread.join(60)
    return [type(got[0]).__name__, str(got[0]).splitlines()[0], summary(STARTED[0], 0, logs=False)]


def suspend_with_deployment() -> Any:
    """A run of a deployment is suspended: its process ends, resuming makes it scheduled again."""
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    api = client()
    flow_id = api.create_flow(suspends)
    try:
        deployment = api.create_deployment(flow_id=flow_id, name="conformance")
    except (ObjectNotFound, PrefectHTTPStatusError):
        return "not played: the server has no deployments"
    run = api.create_flow_run_from_deployment(deployment)
    thread, got = _in_thread(lambda: _run_as(run))
    id_ = _wait_for_state("PAUSED")
    thread.join(60)
    resumed = resume(api, id_)
    assert resumed.state is not None
    shown = summary(id_, 0, logs=False)
    assert [one[1] for one in shown["states"]][-2:] == ["Suspended", "Resuming"]
    return [type(got[0]).__name__, resumed.state.type.value, shown]


def _run_as(run: Any) -> Any:
    from prefect.flow_engine import run_flow_sync

    return run_flow_sync(suspends, flow_run=run, parameters={}, return_type="state")


@flow(name="conformance-cancelled")
def long(until: str) -> str:
    _note()
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        state = client().read_flow_run(STARTED[0]).state
        if state is not None and state.type.value == until:
            break
        time.sleep(0.1)
    double(1)
    return "ran to its end"


def _cancelled(*states: Any) -> Any:
    thread, got = _in_thread(lambda: long(states[-1].type.value, return_state=True))
    id_ = _wait_for_state("RUNNING")
    answers = [client().set_flow_run_state(id_, state).status.value for state in states]
    thread.join(60)
    return [answers, type(got[0]).__name__, summary(id_, 1, logs=False)]


def cancellation() -> Any:
    """A local run is cancelled while it works: by Cancelling, and at once."""
    first = _cancelled(Cancelling())
    assert first[2]["states"][-1][0] == "CANCELLING"
    second = _cancelled(Cancelling(), Cancelled())
    return [first, second]


if __name__ == "__main__":
    main(
        pause_with_input,
        pause_and_resume,
        pause_that_times_out,
        suspend_without_deployment,
        suspend_with_deployment,
        cancellation,
    )
