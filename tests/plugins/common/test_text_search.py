"""The query language of text filters. The expected terms are those of Prefect 3.8.8's parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_kernel_plugins.common.text_search import TextQuery, parse, patterns


@pytest.mark.parametrize(
    ("query", "include", "exclude", "required"),
    [
        ("", [], [], []),
        (" \t\n", [], [], []),
        ("error", ["error"], [], []),
        ("error  failed", ["error", "failed"], [], []),
        ("a -b !c +d", ["a"], ["b", "c"], ["d"]),
        ("- a ! b + c -", ["a", "b", "c"], [], []),
        ("--a", [], ["-a"], []),
        ("a-b", ["a-b"], [], []),
        ('"two words"', ["two words"], [], []),
        ('-"two words" +"three more words"', [], ["two words"], ["three more words"]),
        (r'"say \"hi\" to C:\\temp\x"', [r'say "hi" to C:\temp\x'], [], []),
        ('"never closed', ["never closed"], [], []),
        ('"ends with a backslash\\', ["ends with a backslash\\"], [], []),
        ('a"b c"d', ["a", "b c", "d"], [], []),
        ('"" "  " a', ["a"], [], []),
    ],
)
def test_terms(query: str, include: list[str], exclude: list[str], required: list[str]) -> None:
    """Blanks separate terms, quotes keep them together, a prefix says what they are for."""
    assert TextQuery(include, exclude, required) == parse(query)


@given(st.text(alphabet=' \t"\\-!+ab', max_size=200))
def test_every_text_is_a_query(query: str) -> None:
    """Nothing is an error, and no term is blank."""
    found = parse(query)
    assert all(term.strip() for term in found.include + found.exclude + found.required)


def test_patterns_are_plain_and_lower_case() -> None:
    """What LIKE takes for wildcards is looked for as it is, whatever the case of letters."""
    found = patterns(r'+ÄB -"50%" "a_b" "c\\d"')
    assert found == {"any": [r"%a\_b%", r"%c\\d%"], "none": [r"%50\%%"], "all": ["%äb%"]}
