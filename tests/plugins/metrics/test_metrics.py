"""Metrics, and logs for machines."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prefect_kernel.cli.json_logs import JsonFormatter
from prefect_kernel.testing import KernelUnderTest, MakeKernel


def samples(kernel: KernelUnderTest) -> dict[tuple[str, ...], float]:
    """(name, label values…) -> value of every sample."""
    answer = kernel.client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name.removeprefix("prefect_kernel_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def measured(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel that measures."""
    return make_kernel(storage=prepared_url, settings={"PREFECT_SERVER_METRICS_ENABLED": True})


def test_off_by_default(kernel: KernelUnderTest) -> None:
    """Without the setting there is no such path, and nobody watches."""
    assert kernel.client.get("/metrics").status == 404
    assert kernel.kernel.dispatcher.observe is None


def test_requests(measured: KernelUnderTest) -> None:
    """Requests are counted by route, not by path, and by status."""
    run = measured.flow_run()
    for _ in range(3):
        measured.client.get(f"/flow_runs/{run['id']}")
    measured.client.post("/flows/", json={})
    for path in ("/nothing", "/nothing/else", "/flow_runs/x"):
        measured.client.get(path)
    for method in ("FOO", "BAR"):
        measured.client.request(method, "/nothing")
    found = samples(measured)
    assert found["request_seconds_count", "(other)", "(no route)", "404"] == 2
    assert found["request_seconds_count", "GET", "/flow_runs/{id:uuid}", "200"] == 3
    assert found["request_seconds_count", "POST", "/flows/", "422"] == 1
    assert found["request_seconds_count", "GET", "(no route)", "404"] == 3
    assert samples(measured)["request_seconds_count", "GET", "/metrics", "200"] == 1


def test_decisions(measured: KernelUnderTest) -> None:
    """Transitions by what became of them, and the verdicts of rules."""
    run = measured.flow_run()
    measured.propose(run, "Scheduled", state_details={"scheduled_time": "2030-06-01T00:00:00Z"})
    assert measured.propose(run, "Running").status == "WAIT"
    found = samples(measured)
    assert found["transitions_total", "flow_run", "ACCEPT"] >= 1
    assert found["transitions_total", "flow_run", "WAIT"] == 1
    assert found["verdicts_total", "flow_run", "WaitForScheduledTime", "WAIT"] == 1


def test_queues_services_and_storage(measured: KernelUnderTest) -> None:
    """What is not counted as it happens is looked at."""
    measured.flow_run()
    found = samples(measured)
    assert found["queue_depth", "event_outbox"] >= 1
    assert found["queue_depth", "events_received"] == 0
    assert found["queue_depth", "background_tasks"] == 0
    assert found["leases",] == 0
    assert found["plugins", "failed"] == 0
    assert found["plugins", "loaded"] > 10
    assert any(key[0] == "storage" for key in found)
    measured.tick("event-persister")
    assert any(key[0] == "service_failures" for key in found)


def test_warnings_are_counted_while_it_serves(make_kernel: MakeKernel) -> None:
    """Errors of plugins among them."""
    kernel = make_kernel(settings={"PREFECT_SERVER_METRICS_ENABLED": True})
    logging.getLogger("prefect_kernel.plugins").warning("a test")
    assert samples(kernel)["log_records_total", "WARNING", "prefect_kernel.plugins"] == 1
    kernel.run(kernel.kernel.close())
    assert not [h for h in logging.getLogger("prefect_kernel").handlers if type(h).__name__ == "_Warnings"]


def test_nothing_is_imported_for_it() -> None:
    """A server without metrics does not even import the library."""
    program = (
        "import sys; from prefect_kernel.app import Kernel; from prefect_kernel.settings import load;"
        "Kernel(load(environ={}, overrides={'kernel.no_autoload': True})); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_json_logs() -> None:
    """A record is one line, whatever is in it."""
    record = logging.LogRecord("a.b", logging.ERROR, __file__, 1, "two\nlines %s", ("ü",), None)
    told = json.loads(JsonFormatter().format(record))
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "a.b", "two\nlines ü")
    try:
        raise ValueError("no\nluck")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["exception"] == "ValueError"
    record.msg, record.args = "half \ud800", ()
    assert json.loads(JsonFormatter().format(record))["message"] == "half \\ud800"
