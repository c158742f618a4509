"""Background tasks: `delay` hands them to a task worker, which `serve` runs. Run with Prefect's own Python."""

import subprocess
import sys
import time
from pathlib import Path

from prefect import get_client, task


@task(persist_result=True)
def greet(name: str) -> str:
    return f"hello {name}"


def main() -> None:
    from prefect.client.schemas.objects import StateType

    waiting = greet.delay("before any worker")
    worker = subprocess.Popen([sys.executable, __file__, "worker"], cwd=Path(__file__).parent)
    try:
        later = greet.delay("with a worker")
        with get_client(sync_client=True) as client:
            for _ in range(300):
                runs = [client.read_task_run(future.task_run_id) for future in (waiting, later)]
                if all(run.state_type == StateType.COMPLETED for run in runs):
                    print("all is well")
                    return
                time.sleep(0.2)
        raise AssertionError(f"the tasks have not run: {[run.state for run in runs]}")
    finally:
        worker.terminate()
        worker.wait(20)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        from prefect.task_worker import serve

        serve(greet)
    else:
        main()
