"""Deployments that a process serves: runs waited for, suspended, paused, cancelled, failed. For Prefect's Python."""

import subprocess
import sys
import time
from pathlib import Path

from prefect import flow, get_client, pause_flow_run, serve, suspend_flow_run, task
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.input import RunInput
from prefect.states import Cancelling


@task
def square(n: int) -> int:
    return n * n


@flow(name="served-sums", persist_result=True)
def sums(numbers: list[int]) -> int:
    return sum(square.map(numbers).result())


class Approval(RunInput):
    approved: bool


@flow(name="served-suspends", persist_result=True)
def suspends() -> str:
    answer = suspend_flow_run(wait_for_input=Approval, timeout=120, key="approval")
    return f"approved: {answer.approved}"


@flow(name="served-pauses", persist_result=True)
def pauses() -> str:
    pause_flow_run(timeout=120, poll_interval=1)
    return "went on"


@flow(name="served-waits")
def waits() -> None:
    time.sleep(120)


@flow(name="served-fails", retries=1, retry_delay_seconds=0)
def fails() -> None:
    raise ValueError("as it should")


@flow(name="served-parent")
def parent() -> int:
    run = run_deployment("served-sums/served", parameters={"numbers": [3, 4]}, timeout=100, poll_interval=1)
    return run.state.result()


FLOWS = (sums, suspends, pauses, waits, fails)


def until(found, what: str, seconds: float = 90):
    end = time.monotonic() + seconds
    while not (got := found()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return got


def becomes(client, run_id, *types: StateType):
    def there():
        run = client.read_flow_run(run_id)
        return run if run.state_type in types else None

    return until(there, f"the run {run_id} did not become {types}: {client.read_flow_run(run_id).state!r}")


def started(client, name: str):
    return run_deployment(name, timeout=0).id


def check(client) -> None:
    # Run and waited for, from outside and as a subflow that another flow waits for.
    run = run_deployment("served-sums/served", parameters={"numbers": [1, 2, 3]}, timeout=100, poll_interval=1)
    assert run.state_type == StateType.COMPLETED, run.state
    assert run.state.result() == 14
    state = parent(return_state=True)
    assert state.result() == 25
    children = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(parent_flow_run_id={"any_": [state.state_details.flow_run_id]})
    )
    assert [child.state_type for child in children] == [StateType.COMPLETED]

    # Parameters that the schema refuses.
    try:
        run_deployment("served-sums/served", parameters={"numbers": "none"}, timeout=0)
    except Exception as error:  # noqa: BLE001 - what is raised is looked at
        assert "numbers" in str(error) or "409" in str(error) or "Validation" in str(error), error
    else:
        raise AssertionError("parameters of the wrong type were accepted")

    # Suspended: its process ends, the input is given, and it is scheduled again and goes on from there.
    waiting = started(client, "served-suspends/served")
    run = becomes(client, waiting, StateType.PAUSED)
    assert run.state_name == "Suspended"
    # The client says what it waits for once it has suspended.
    asked = run.state.state_details.run_input_keyset["schema"]
    until(lambda: client._client.post(f"/flow_runs/{waiting}/input/filter", json={"prefix": asked}).json(), asked)
    refused = client.resume_flow_run(waiting, run_input={"approved": "no truth value"})
    assert refused.status.value == "REJECT", refused
    assert client.resume_flow_run(waiting, run_input={"approved": True}).status.value == "ACCEPT"
    run = becomes(client, waiting, StateType.COMPLETED, StateType.FAILED, StateType.CRASHED)
    assert run.state.result() == "approved: True"
    assert run.run_count == 1  # a run that was resumed is no second try

    # Paused: its process waits.
    waiting = started(client, "served-pauses/served")
    becomes(client, waiting, StateType.PAUSED)
    client.resume_flow_run(waiting)
    assert becomes(client, waiting, StateType.COMPLETED, StateType.FAILED).state.result() == "went on"

    # Cancelled while it runs: the serving process ends it and says so.
    waiting = started(client, "served-waits/served")
    becomes(client, waiting, StateType.RUNNING)
    assert client.set_flow_run_state(waiting, Cancelling()).status.value == "ACCEPT"
    becomes(client, waiting, StateType.CANCELLED)

    # Failed, after its retry.
    waiting = started(client, "served-fails/served")
    assert becomes(client, waiting, StateType.FAILED).run_count == 2


def main() -> None:
    log = Path("serving.log")
    with log.open("w") as output:
        server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=output, stderr=subprocess.STDOUT)
    try:
        with get_client(sync_client=True) as client:
            until(lambda: len(client.read_deployments()) == len(FLOWS), "the deployments were not made")
            check(client)
            server.terminate()
            server.wait(40)
            # A process that serves pauses its deployments' schedules when it ends; the deployments stay.
            assert len(client.read_deployments()) == len(FLOWS)
    except BaseException:
        print(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        server.kill()
    print("all is well")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve(*(each.to_deployment("served", interval=86400) for each in FLOWS), query_seconds=1)
    else:
        main()
