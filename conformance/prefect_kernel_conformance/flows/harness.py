"""Runs the scripts of this folder on both servers and compares what they say."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..judge import Finding, Judge, Verdict
from ..matcher import Difference, Matcher
from ..run import GroupResult, Results, count
from ..script import Case
from ..servers import clean_environment

GROUP = "client_flows"
SCRIPTS = ("basics", "failures", "pauses", "background", "deploying")
SECONDS = 300


def run_script(python: str, script: str, api_url: str, home: Path) -> tuple[dict[str, Any], str]:
    """Run one script with the client of that interpreter; its summaries by case, and what it printed."""
    home.mkdir(parents=True, exist_ok=True)
    settings = {
        "PREFECT_API_URL": api_url,
        "PREFECT_LOGGING_LEVEL": "INFO",
        # Old clients keep results below the user's home, whatever PREFECT_HOME says: one side would find the other's.
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"),
        "PREFECT_CLIENT_METRICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run(
        [python, str(Path(__file__).with_name(f"{script}.py"))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(home, settings),
        cwd=home,
        timeout=SECONDS,
        check=False,
    )
    # The last line, but for what the client's own threads still have to say.
    found = [line for line in done.stdout.splitlines() if line.startswith("SUMMARY ")]
    if not found:
        return {"script": f"ended with {done.returncode} and no summary"}, done.stdout
    return json.loads(found[-1].removeprefix("SUMMARY ")), done.stdout


def play_flows(judge: Judge, python: str, results: Results, match: str = "", *, old: bool = False) -> None:
    """Run all scripts on both servers, one script at a time, both servers at once.

    `old`: the client is of another version, and may fail at what it does not have, on both servers alike.
    """
    result = results.groups.setdefault(GROUP, GroupResult(GROUP))
    with tempfile.TemporaryDirectory(prefix="prefect-conformance-flows-") as directory:
        for script in SCRIPTS:
            if match and match not in script:
                continue
            began = time.monotonic()
            with ThreadPoolExecutor(2) as pool:
                futures = [
                    pool.submit(run_script, python, script, side.api_url, Path(directory) / side.name)
                    for side in (judge.reference, judge.kernel)
                ]
                (ours, our_text), (theirs, their_text) = (future.result() for future in futures)
            result.seconds += time.monotonic() - began
            for name in sorted({*ours, *theirs}):
                result.sequences += 1
                case = f"{script}.{name}"
                if old and _lacks(ours.get(name)) and _lacks(theirs.get(name)):
                    results.notes.append(f"{case}: this client fails on both servers ({ours[name]}).")
                    continue
                verdict = compare(judge, case, ours.get(name), theirs.get(name), our_text, their_text)
                count(verdict, result, results)


def _lacks(summary: Any) -> bool:
    """Whether a client cannot do one thing; a script that does not run at all shows nothing."""
    return isinstance(summary, str) and summary.startswith("failed")


def _fails(summary: Any) -> bool:
    return isinstance(summary, str) and summary.startswith(("failed", "ended"))


def compare(judge: Judge, name: str, ours: Any, theirs: Any, our_text: str, their_text: str) -> Verdict:
    """Compare the summaries of one case; a check that fails is a difference, also when it fails on both."""
    case = Case(GROUP, name, (), "A flow, run by the real client.")
    differences = Matcher().compare("summary", ours, theirs)
    if (_fails(ours) or _fails(theirs)) and not differences:
        differences = [Difference("summary", ours, theirs)]
    verdict = Verdict(case)
    for deviation in judge.deviations:
        met = [one for one in differences if deviation.explains(GROUP, name, one)]
        if met:
            verdict.findings.append(Finding(case, None, name, met, deviation=deviation))
            differences = [one for one in differences if one not in met]
    if differences:
        said = {"summary": ours, "printed": our_text[-4000:]}, {"summary": theirs, "printed": their_text[-4000:]}
        verdict.findings.append(Finding(case, None, name, differences, said[0], said[1]))
    return verdict
