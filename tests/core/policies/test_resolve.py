"""Edits of policies: where rules come to stand, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_kernel.errors import PolicyError
from prefect_kernel.policy import Edit, Insert, Policy, Remove, Replace, resolve
from prefect_kernel.transition import FlowRule, Rule, TaskRule


def rule(name: str, base: type[Rule] = FlowRule, /, **attributes: object) -> type[Rule]:
    """A rule class of that name."""
    return type(name, (base,), attributes)


A, B, C, X, Y, Z = (rule(name) for name in "ABCXYZ")
POLICY = Policy("core-flow", "flow_run", [A, B, C])


def order(*edits: Edit, policy: Policy = POLICY) -> str:
    """The names of the rules after edits by plugins p0, p1, …"""
    named = [(f"p{number}", edit) for number, edit in enumerate(edits)]
    return "".join(r.rule_name() for r in resolve(policy, "own", named).rules)


def into(rule: type[Rule], **place: str) -> Insert:
    """An insert into the policy."""
    return Insert(rule, "core-flow", **place)


def test_after_and_before_fix_the_place() -> None:
    """`after` puts a rule directly behind its anchor; alone, `before` puts it directly ahead of its anchor."""
    assert order(into(X, after="A")) == "AXBC"
    assert order(into(X, after="C")) == "ABCX"
    assert order(into(X, before="A")) == "XABC"
    assert order(into(X, before="C")) == "ABXC"


def test_before_is_checked_when_after_fixes_the_place() -> None:
    """Given both, `after` decides, and a `before` that would not hold is an error which names plugin and rules."""
    assert order(into(X, after="A", before="C")) == "AXBC"
    with pytest.raises(PolicyError, match="plugin p0: X cannot stand after 'B' and before 'A' in core-flow"):
        order(into(X, after="B", before="A"))


def test_two_inserts_after_one_anchor_keep_plugin_order() -> None:
    """Inserts after one anchor stand in the load order of their plugins, each with what stands after it."""
    assert order(into(X, after="A"), into(Y, after="A")) == "AXYBC"
    assert order(into(X, after="A"), into(Z, after="X"), into(Y, after="A")) == "AXZYBC"
    assert order(into(X, after="A"), into(Y, after="A"), into(Z, after="X")) == "AXZYBC"


def test_two_inserts_before_one_anchor_keep_plugin_order() -> None:
    """Inserts before one anchor stand in the load order of their plugins, too."""
    assert order(into(X, before="B"), into(Y, before="B")) == "AXYBC"


def test_an_anchor_may_come_later() -> None:
    """An insert finds an anchor that another plugin brings, whichever was loaded first."""
    assert order(into(X, after="Y"), into(Y, after="Z"), into(Z, after="B")) == "ABZYXC"


def test_replaces_come_first_and_removes_last() -> None:
    """Replaces, then inserts, then removes, however plugins declare them; a removed rule still is an anchor."""
    edits: list[Edit] = [Remove("A", "core-flow"), into(Y, after="X"), Replace("B", X, "core-flow"), into(Z, after="A")]
    assert order(*edits) == "ZXYC"


def test_who_put_a_rule_there() -> None:
    """The resolved policy knows the plugin behind each rule, and behind each rule that is gone."""
    edits: list[tuple[str, Edit]] = [
        ("one", Replace("B", X, "core-flow")),
        ("two", into(Y, after="X")),
        ("three", Remove("C", "core-flow")),
    ]
    found = resolve(POLICY, "own", edits, trusted={"own", "two"})
    assert found.origin == {"A": "own", "X": "one", "Y": "two"}
    assert found.removed == {"B": "one", "C": "three"}
    assert found.foreign == {X: "one"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (into(X, after="Bb"), "plugin p0: no rule 'Bb' in core-flow; did you mean 'B'"),
        (into(X, before="nothing like it"), "plugin p0: no rule 'nothing like it' in core-flow$"),
        (into(X), "plugin p0: an insert into core-flow says neither after nor before"),
        (into(A, after="B"), "plugin p0: core-flow has a rule 'A' already"),
        (Replace("B", A, "core-flow"), "plugin p0: core-flow has a rule 'A' already"),
        (Replace("W", X, "core-flow"), "plugin p0: no rule 'W' in core-flow"),
        (Remove("W", "core-flow"), "plugin p0: no rule 'W' in core-flow"),
        (into(rule("T", TaskRule), after="A"), "plugin p0: rule T is for task_run, and core-flow for flow_run"),
        (into(int, after="A"), "plugin p0: <class 'int'> is not a rule class"),  # type: ignore[arg-type]
        (into(A("x", "y"), after="A"), "plugin p0: <.*> is not a rule class"),  # type: ignore[arg-type]
        (into(rule("T", from_states={"RUNING"}), after="A"), "from_states of rule T has 'RUNING', which is no type"),
        (into(rule("T", to_states="RUNNING"), after="A"), "to_states of rule T is 'RUNNING', and not a set"),
        (into(rule("T", before=None), after="A"), "before of rule T cannot be called"),
        (into(rule("T", name=7), after="A"), "a rule's name is 7, and not text"),
    ],
)
def test_bad_edits(edit: Edit, message: str) -> None:
    """A bad edit is one sentence that names its plugin, which the error also holds."""
    with pytest.raises(PolicyError, match=message) as caught:
        order(edit)
    assert caught.value.plugin == "p0"


def test_inserts_that_wait_for_each_other() -> None:
    """Anchors that go round in a circle are an error, and not an endless loop."""
    with pytest.raises(PolicyError, match="plugin p0: X and Y wait for each other in core-flow"):
        order(into(X, after="Y"), into(Y, after="X"))


def test_a_missing_anchor_behind_a_waiting_insert_is_the_one_that_is_named() -> None:
    """When one insert waits for another one whose anchor does not exist, the latter's plugin is blamed."""
    with pytest.raises(PolicyError, match="plugin p1: no rule 'wayt' in core-flow"):
        order(into(X, after="Y"), into(Y, after="wayt"))


def test_an_anchor_that_was_replaced_is_explained() -> None:
    """An anchor that another plugin has replaced is said to be."""
    with pytest.raises(PolicyError, match="plugin p1: no rule 'B' in core-flow: plugin p0 has taken it out"):
        order(Replace("B", X, "core-flow"), into(Y, after="B"))


def test_async_rules_are_refused_where_nothing_can_be_waited_for() -> None:
    """A policy that judges inside of other transactions takes no async rule, and says so."""

    async def before(self: Rule, move: object) -> None:
        """Wait for something."""

    slow = rule("Slow", before=before)
    composed = Policy("minimal-flow", "flow_run", [A], composed=True)
    with pytest.raises(PolicyError, match="plugin p0: rule Slow is async, and minimal-flow also judges inside of"):
        order(Insert(slow, "minimal-flow", after="A"), policy=composed)
    assert resolve(POLICY, "own", [("p0", into(slow, after="A"))]).has_async


def test_rules_of_third_parties_take_the_decision_out_of_the_transaction() -> None:
    """A policy is decided before the transaction when a foreign rule may wait; not for one that promises not to."""
    trusted = {"own"}
    assert not resolve(POLICY, "own", [], trusted).detached
    assert resolve(POLICY, "own", [("p0", into(X, after="A"))], trusted).detached
    quick = rule("Quick", inline=True)
    assert not resolve(POLICY, "own", [("p0", into(quick, after="A"))], trusted).detached


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("befor", "before"), ("cleanups", "cleanup"), ("from_state", "from_states"), ("to_status", "to_states")],
)
def test_misspelt_attributes_of_a_rule(wrong: str, meant: str) -> None:
    """A rule whose hook or filter is misspelt would judge nothing, or everything; helpers may have such names."""
    with pytest.raises(PolicyError, match=f"rule Odd has {wrong!r}, which rules do not have; did you mean {meant!r}"):
        order(into(rule("Odd", **{wrong: set()}), after="A"))
    fine = {"before": print, "cleanup": print, "from_states": {"PENDING"}, "to_states": {"RUNNING"}}
    assert "Fine" in order(into(rule("Fine", **{**fine, wrong: set()}), after="A"))


@given(
    st.lists(
        st.tuples(st.sampled_from("XYZ"), st.sampled_from(["after", "before"]), st.sampled_from("ABCXYZ")),
        max_size=3,
        unique_by=lambda edit: edit[0],
    )
)
def test_inserts_keep_their_promise(edits: list[tuple[str, str, str]]) -> None:
    """Whatever can be resolved keeps A before B before C, and each rule on the side of its anchor that it asked for."""
    rules = {"X": X, "Y": Y, "Z": Z}
    try:
        found = order(*(into(rules[name], **{side: anchor}) for name, side, anchor in edits))
    except PolicyError:
        return
    assert [name for name in found if name in "ABC"] == ["A", "B", "C"]
    for name, side, anchor in edits:
        assert (found.index(name) > found.index(anchor)) == (side == "after")
