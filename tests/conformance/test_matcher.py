"""What the runner takes for the same name."""

from __future__ import annotations

from itertools import product
from string import ascii_lowercase

from prefect_kernel_conformance.matcher import NAMES_PER_TWIN, Matcher

DRAWN = ["-".join(pair) for pair in product(ascii_lowercase, repeat=2)]


def compare(matcher: Matcher, reference: str, kernel: str) -> bool:
    """Whether a name that was made up is taken for that of the reference."""
    return not matcher.compare("body", {"name": reference}, {"name": kernel})


def test_names_are_renamed_alike() -> None:
    """A name of the reference answers to one of the kernel, and the other way round."""
    matcher = Matcher()
    assert compare(matcher, "a-wren", "b-owl")
    assert compare(matcher, "a-wren", "b-owl")
    assert not compare(matcher, "a-wren", "c-fox")
    assert not compare(matcher, "d-cat", "b-owl")


def test_of_many_names_two_may_be_the_same() -> None:
    """By chance, on one server; as many as chance makes, and no more."""
    matcher = Matcher()
    for name in DRAWN[:NAMES_PER_TWIN]:
        assert compare(matcher, name, f"x-{name}")
    assert compare(matcher, "new-name", f"x-{DRAWN[0]}")
    assert compare(matcher, "new-name", f"x-{DRAWN[0]}")
    assert not compare(matcher, DRAWN[1], f"x-{DRAWN[2]}")
