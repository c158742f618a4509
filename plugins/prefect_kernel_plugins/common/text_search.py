"""The query language of text filters.

Blanks separate terms. A term may be a phrase in double quotes, in which a backslash makes a quote or a backslash plain.
`-` or `!` before a term excludes it, `+` requires it; of the others, one must be there. Letter case does not matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .patterns import Mode, containing

MAX_QUERY_LENGTH = 200

_TERM = re.compile(
    r"""
    \s*
    (?P<prefix>[-!+](?!\s|\Z))?          # only directly before a term
    (?: "(?P<phrase>(?:\\.|[^"\\]|\\\Z)*)(?:"|\Z)   # a phrase may lack its closing quote
      | (?P<word>[^\s"]+)
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_LONELY_PREFIX = re.compile(r"\s*[-!+](?=\s|\Z)")
_ESCAPED = re.compile(r'\\(["\\])')


@dataclass
class TextQuery:
    """The terms of a query."""

    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)


def parse(query: str) -> TextQuery:
    """Read a query; every text is one."""
    found, at = TextQuery(), 0
    while at < len(query):
        lonely = _LONELY_PREFIX.match(query, at)
        if lonely is not None:
            at = lonely.end()
            continue
        term = _TERM.match(query, at)
        assert term is not None
        at = term.end()
        if term["end"] is not None:
            break
        text = term["word"] if term["word"] is not None else _ESCAPED.sub(r"\1", term["phrase"])
        if text.strip():
            prefix = term["prefix"]
            where = found.include if prefix is None else found.required if prefix == "+" else found.exclude
            where.append(text)
    return found


def patterns(query: str) -> dict[Mode, list[str]]:
    """What a text in lower case must fulfil: for each mode of `like` that is needed, its patterns."""
    found = parse(query)
    terms: dict[Mode, list[str]] = {"any": found.include, "none": found.exclude, "all": found.required}
    return {mode: [containing(word.lower()) for word in words] for mode, words in terms.items() if words}


def found_in(text: str, query: str) -> bool:
    """Whether a text fulfils a query."""
    found, text = parse(query), text.lower()
    return (
        (not found.include or any(term.lower() in text for term in found.include))
        and not any(term.lower() in text for term in found.exclude)
        and all(term.lower() in text for term in found.required)
    )
