"""Several server processes on one set of listening sockets: start them, restart those that die, stop them together.

The parent opens the sockets, forks, and serves nothing itself. Children accept from the sockets that they inherit, so
that a connection which waits in the queue is not lost when one of them dies.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prefect_kernel.errors import KernelError
from prefect_kernel.ports.server import ending

log = logging.getLogger("prefect_kernel.workers")

EX_CONFIG = 78
"""Exit status of a worker that could not start; it would not do better the next time (sysexits.h)."""
STEADY = 10.0
"""A worker that lived for so many seconds is restarted at once, others after a pause that doubles."""
MAX_PAUSE = 10.0


@dataclass(slots=True)
class _Worker:
    """One place among the workers, and the process that has it."""

    index: int
    pid: int = 0  # 0: none
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0  # when to start the next one


def run_workers(count: int, target: Callable[[int], None], *, patience: float = 30.0) -> int:
    """Run `target(index)` in each of `count` processes until a signal ends this one; give its exit status.

    A worker that dies is replaced. The signal is passed on; workers that have not ended `patience` seconds later are
    killed. When a worker ends with a KernelError, the sentence is printed, all are stopped, and the status is 1. Must
    be called from the main thread, before there are other threads or an event loop.
    """
    lifeline = os.pipe()  # its end tells the workers that the parent is gone
    signals = (*ending(), signal.SIGCHLD)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        return _Supervisor(count, target, patience, lifeline, signals, before).run()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for end in lifeline:
            os.close(end)


class _Supervisor:
    def __init__(
        self,
        count: int,
        target: Callable[[int], None],
        patience: float,
        lifeline: tuple[int, int],
        signals: tuple[signal.Signals, ...],
        mask: set[signal.Signals | int],
    ) -> None:
        self._target, self._patience, self._lifeline, self._mask = target, patience, lifeline, mask
        self._signals = signals
        self._workers = [_Worker(index) for index in range(count)]
        self._status = 0
        self._kill_at: float | None = None  # set when stopping

    def run(self) -> int:
        while True:
            now = time.monotonic()
            running = [worker for worker in self._workers if worker.pid]
            if self._kill_at is None:
                for worker in self._workers:
                    if not worker.pid and worker.due <= now:
                        self._start(worker)
            elif not running:
                return self._status
            elif now >= self._kill_at:
                log.warning("Killing %d workers that did not end in time.", len(running))
                self._signal(signal.SIGKILL)
                self._kill_at = now + self._patience
            received = signal.sigtimedwait(self._signals, self._next_look(now))
            if received is not None and received.si_signo != signal.SIGCHLD:
                self._stop()
            self._reap()

    def _next_look(self, now: float) -> float:
        moments = [worker.due for worker in self._workers if not worker.pid] if self._kill_at is None else []
        if self._kill_at is not None:
            moments.append(self._kill_at)
        return max(0.0, min(moments, default=now + 60.0) - now)

    def _start(self, worker: _Worker) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        worker.started = time.monotonic()
        pid = os.fork()
        if pid:
            worker.pid = pid
            return
        status = 1
        try:
            status = self._be_worker(worker.index)
        except BaseException:  # whatever it was, this process must not go on as a second parent
            log.critical("Worker %d failed.", worker.index, exc_info=True)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _be_worker(self, index: int) -> int:
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        reading, writing = self._lifeline
        os.close(writing)  # inherited; the pipe is to end with the parent
        threading.Thread(target=_end_with_parent, args=(reading,), daemon=True, name="lifeline").start()
        try:
            self._target(index)
        except KernelError as error:
            sys.stderr.write(f"{error.message}\n")
            return EX_CONFIG
        return 0

    def _reap(self) -> None:
        """Note which workers have ended, and when each is to be started again."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            worker = next((worker for worker in self._workers if worker.pid == pid), None)
            if worker is None:
                continue  # a child of somebody else's in this process
            worker.pid = 0
            if self._kill_at is None:
                self._replace(worker, os.waitstatus_to_exitcode(status))

    def _replace(self, worker: _Worker, exitcode: int) -> None:
        if exitcode == EX_CONFIG:
            self._status = 1
            self._stop()
            return
        now = time.monotonic()
        steady = now - worker.started >= STEADY
        worker.pause = 0.0 if steady else min(MAX_PAUSE, worker.pause * 2 or 0.1)
        worker.due = now + worker.pause
        how = f"was killed by signal {-exitcode}" if exitcode < 0 else f"ended with status {exitcode}"
        log.error("Worker %d %s; starting another in %.1f s.", worker.index, how, worker.pause)

    def _stop(self) -> None:
        """Pass the signal on; a second one changes nothing."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._patience
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)


def _end_with_parent(lifeline: int) -> None:
    """Stop this process when the parent is gone: nobody would restart it, or free its port."""
    os.read(lifeline, 1)  # nothing is ever written: it returns at the end of the pipe
    os.kill(os.getpid(), signal.SIGTERM)
