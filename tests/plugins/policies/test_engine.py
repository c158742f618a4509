"""The engine: which hooks of which rules run, in which order, and what a rule's verdict does to the others."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.transition import ALL_STATES, FlowRule, FlowTransform, Move, State

from .support import NOW, judged, move, state, verdict

log: list[str] = []


@pytest.fixture(autouse=True)
def _fresh_log() -> None:
    log.clear()


def rule(label: str, from_: Any = ALL_STATES, to: Any = ALL_STATES, does: Any = None, base: Any = FlowRule) -> Any:
    """A rule that writes down which of its hooks ran; `does(move)` is its verdict."""

    class Noted(base):
        name = label
        from_states, to_states = frozenset(from_), frozenset(to)

        def before(self, move: Move) -> None:
            log.append(f"{label}.before")
            if does is not None:
                does(move)

        def after(self, move: Move) -> None:
            log.append(f"{label}.after")

        def cleanup(self, move: Move) -> None:
            log.append(f"{label}.cleanup")

    return Noted


def pending_to_running() -> Move:
    """A proposal that every rule of these tests may judge."""
    return move(state("PENDING"), state("RUNNING"))


def reject_to(type: str) -> Any:
    """The verdict that has a state of that type committed instead."""
    return lambda m: m.reject(State(type, timestamp=NOW), "no")


def test_rules_nest_in_their_order() -> None:
    """`before` runs from the first rule to the last, `after` from the last to the first."""
    judged(pending_to_running(), [rule("a"), rule("b"), rule("t", base=FlowTransform)])
    assert log == ["a.before", "b.before", "t.before", "t.after", "b.after", "a.after"]


def test_only_rules_of_the_intended_pair_take_part() -> None:
    """A rule for other types of states is not asked, also when a rejection leads to just those types."""
    made = judged(
        pending_to_running(),
        [rule("a", to={"RUNNING"}, does=reject_to("CANCELLED")), rule("b", to={"CANCELLED"}), rule("c", {"FAILED"})],
    )
    assert log == ["a.before"]
    assert verdict(made) == ("REJECT", "no", "CANCELLED", "Cancelled")


def test_rejection_to_another_type_skips_later_rules_but_no_transform() -> None:
    """Later rules are invalid: neither hook of theirs runs. Transforms run all the same."""
    judged(
        pending_to_running(),
        [rule("a", to={"RUNNING"}, does=reject_to("FAILED")), rule("b"), rule("t", base=FlowTransform)],
    )
    assert log == ["a.before", "t.before", "t.after"]


def test_rejection_to_the_same_type_goes_on() -> None:
    """A replacement of the same type leaves every rule valid, the one that rejected included."""
    made = judged(pending_to_running(), [rule("a", to={"RUNNING"}, does=reject_to("RUNNING")), rule("b")])
    assert log == ["a.before", "b.before", "b.after", "a.after"]
    assert made.status == "REJECT"


@pytest.mark.parametrize(
    "verdict_of",
    [
        reject_to("SCHEDULED"),
        lambda m: m.reject(None, "no"),
        lambda m: m.abort("no"),
        lambda m: m.wait(5, "no"),
    ],
)
def test_rules_that_had_their_say_fizzle_when_a_later_one_decides(verdict_of: Any) -> None:
    """An earlier rule that let the transition pass cleans up; the one that decided, for one type only, does nothing."""
    judged(pending_to_running(), [rule("a"), rule("b", to={"RUNNING"}, does=verdict_of)])
    assert log == ["a.before", "b.before", "a.cleanup"]


def test_a_rule_for_every_type_runs_after_its_own_verdict() -> None:
    """Its new target is among its types, so it is valid on the way out and does not fizzle."""
    judged(pending_to_running(), [rule("a", does=lambda m: m.abort("no"))])
    assert log == ["a.before", "a.after"]


def test_verdicts() -> None:
    """What each verdict answers, and that only a rejection with a state has anything written."""
    cases: list[tuple[Any, str, dict[str, Any]]] = [
        (lambda m: m.reject(None, "r"), "REJECT", {"type": "reject_details", "reason": "r"}),
        (lambda m: m.abort("r"), "ABORT", {"type": "abort_details", "reason": "r"}),
        (lambda m: m.wait(3, "r"), "WAIT", {"type": "wait_details", "delay_seconds": 3, "reason": "r"}),
    ]
    for verdict_of, status, details in cases:
        made = judged(pending_to_running(), [rule("a", does=verdict_of)])
        assert (made.status, made.details, made.validated) == (status, details, None)
    accepted = judged(pending_to_running(), [rule("a")])
    assert (accepted.status, accepted.details) == ("ACCEPT", {"type": "accept_details"})
    assert accepted.validated is accepted.proposed is not None


def test_renaming_changes_no_type_and_fizzles_nobody() -> None:
    """The state is the proposed one under another name."""
    made = judged(pending_to_running(), [rule("a"), rule("b", does=lambda m: m.rename("Rerunning"))])
    assert verdict(made) == ("ACCEPT", None, "RUNNING", "Rerunning")
    assert log == ["a.before", "b.before", "b.after", "a.after"]


def test_rejection_without_a_state_needs_a_current_one() -> None:
    """A run that has no state has nothing to stay in: the rule fails, and nothing is written."""
    made = judged(move(None, state("RUNNING")), [rule("a", does=lambda m: m.reject(None, "no"))])
    assert isinstance(made.error, RuntimeError)
    assert (made.status, made.validated) == ("ABORT", None)


def test_a_rule_that_raises_aborts_the_transition_and_cleans_up() -> None:
    """It fizzles like the rules before it; later rules are skipped, and transforms' `after` too."""

    def fail(_: Move) -> None:
        raise ValueError("broken")

    made = judged(pending_to_running(), [rule("a"), rule("b", does=fail), rule("c"), rule("t", base=FlowTransform)])
    assert log == ["a.before", "b.before", "t.before", "b.cleanup", "a.cleanup"]
    assert isinstance(made.error, ValueError)
    assert made.status == "ABORT"
    assert "rule b" in made.details["reason"]


def test_no_verdict_after_the_state_was_committed_to() -> None:
    """On the way out it is too late to reject."""

    class TooLate(FlowRule):
        def after(self, move: Move) -> None:
            move.abort("too late")

    with pytest.raises(RuntimeError, match="already validated"):
        judged(pending_to_running(), [TooLate])


def test_the_trail_names_every_rule_that_was_asked() -> None:
    """It tells which rule decided, with its reason, and which were skipped because of that."""
    made = judged(pending_to_running(), [rule("a"), rule("b", does=lambda m: m.abort("why")), rule("c")])
    assert made.trail == [("a", "passed", None), ("b", "ABORT", "why"), ("c", "skipped", None)]
