"""Run by a real client: serves a task that notes what it was given, or hands work to whoever serves it."""

import sys
from pathlib import Path

from prefect import task  # type: ignore[import-not-found]
from prefect.task_worker import serve  # type: ignore[import-not-found]


@task
def note(number: int) -> None:
    """Leave a trace."""
    with Path(RAN).open("a") as file:
        file.write(f"{number}\n")


RAN = sys.argv[2]
if sys.argv[1] == "serve":
    serve(note)
else:
    for number in range(int(sys.argv[2])):
        note.delay(number)
