"""What the runner takes for the same name."""

from __future__ import annotations

from prefect_kernel_conformance.matcher import Matcher

IDS = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(6)]


def compare(matcher: Matcher, reference: tuple[str, str], kernel: tuple[str, str]) -> bool:
    """Whether (id, name) of the kernel is taken for that of the reference."""
    keys = ("id", "name")
    differences = matcher.compare("body", dict(zip(keys, reference, strict=True)), dict(zip(keys, kernel, strict=True)))
    assert {one.where for one in differences} <= {"body.name"}
    return not differences


def test_what_was_named_keeps_its_name() -> None:
    """Whatever the servers have made up, it is the same the next time."""
    matcher = Matcher()
    assert compare(matcher, (IDS[0], "a-wren"), (IDS[1], "b-owl"))
    assert compare(matcher, (IDS[0], "a-wren"), (IDS[1], "b-owl"))
    assert not compare(matcher, (IDS[0], "a-wren"), (IDS[1], "c-fox"))
    assert not compare(matcher, (IDS[0], "d-cat"), (IDS[1], "b-owl"))
    assert not compare(matcher, (IDS[0], "a-wren"), (IDS[1], "Crow 1"))


def test_two_may_have_the_same_name() -> None:
    """By chance, on one server: names are drawn by lot."""
    matcher = Matcher()
    assert compare(matcher, (IDS[0], "a-wren"), (IDS[1], "b-owl"))
    assert compare(matcher, (IDS[2], "c-fox"), (IDS[3], "b-owl"))
    assert compare(matcher, (IDS[4], "a-wren"), (IDS[5], "d-cat"))


def test_names_of_what_is_not_told() -> None:
    """Without an id, a name of the reference answers to one of the kernel, and the other way round."""
    matcher = Matcher()
    assert not matcher.compare("body", {"name": "a-wren"}, {"name": "b-owl"})
    assert matcher.compare("body", {"name": "a-wren"}, {"name": "c-fox"})
    assert matcher.compare("body", {"name": "d-cat"}, {"name": "b-owl"})
