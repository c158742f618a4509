"""A time limit for other people's synchronous code."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class TookTooLong(BaseException):
    """Raised in code that has used up its time; no `Exception`, so that the code does not catch it by the way."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the block when it takes longer than that, again and again until it gives in.

    Rests on SIGALRM, and so works in the main thread of a Unix process; elsewhere there is no limit. An alarm that was
    set before goes on afterwards.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def alarm(_: int, __: FrameType | None) -> NoReturn:
        raise TookTooLong

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, alarm)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, remaining - (time.monotonic() - began)), interval)
