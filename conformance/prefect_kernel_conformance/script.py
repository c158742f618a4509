"""The language of sequences: steps with placeholders, so that one script plays on two servers and can be shortened.

A script never holds an id that a server made. `s.post(...)` returns a `Ref`, and `f"/flows/{flow['id']}"` puts a
placeholder into the path, which each server's player replaces by what *its* server answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

OPEN, CLOSE = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}", "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"
NAMESPACE = uuid.UUID("5f0e8f43-8b1c-4c86-9b0e-2b1d36c1c0de")


class Missing:
    """No body at all, as opposed to a body `null`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Unresolved(LookupError):
    """A placeholder names what an earlier step did not answer, or a step that was left out."""


@dataclass(frozen=True, repr=False)
class Ref:
    """A value out of the answer of an earlier step; formats as a placeholder."""

    step: int
    path: tuple[str, ...] = ()

    def __getitem__(self, key: str | int) -> Ref:
        return Ref(self.step, (*self.path, str(key)))

    def __str__(self) -> str:
        return f"{OPEN}{'/'.join((str(self.step), *self.path))}{CLOSE}"

    def __repr__(self) -> str:
        return str(self)

    def __format__(self, spec: str) -> str:
        return str(self)


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    `raw` is a body as it stands. `until` (a key and a number) repeats the request until the number, or the length of
    the list, at that key of the answer has been reached. `unordered` names lists whose order is chance, `ignore` places
    that are not compared, and `tolerance` makes all numbers measured ones.
    """

    step: int
    method: str
    path: str
    body: Any = MISSING
    raw: bytes | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    until: tuple[str, int] | None = None
    unordered: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    tolerance: float | None = None
    outside_api: bool = False


@dataclass(frozen=True)
class Seed:
    """A row put straight into the database, for what the routes under test need but do not make."""

    step: int
    table: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Update:
    """Rows changed straight in the database."""

    step: int
    table: str
    where: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Rows:
    """Rows read straight from the database, and compared."""

    step: int
    table: str
    where: Mapping[str, Any]
    order_by: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Socket:
    """A WebSocket conversation.

    `talk` holds ("send", JSON or text), ("receive", how many), ("silence", seconds in which something may come),
    ("ping",), ("wait", seconds), and ("request", method, path, body) for a request beside it, whose status counts as
    received.
    """

    step: int
    path: str
    talk: Sequence[tuple[Any, ...]]
    subprotocol: str | None = "prefect"
    auth: bool = True
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Race:
    """Requests sent at the same time, each on a connection of its own; answers are compared as a multiset."""

    step: int
    requests: Sequence[Request]


Step = Request | Seed | Update | Rows | Socket | Race


@dataclass(frozen=True)
class Case:
    """A script with its name: what is played, compared and shortened."""

    group: str
    name: str
    steps: tuple[Step, ...]
    title: str = ""
    independent: bool = False
    pristine: bool = False
    world: bool = False
    dialect: str | None = None
    alone: bool = False

    def keeping(self, steps: Sequence[Step]) -> Case:
        """The same case with fewer or smaller steps."""
        return replace(self, steps=tuple(steps))

    @property
    def timed(self) -> bool:
        """Whether it waits for a time of its own for what a server may send, or come to."""
        return any(isinstance(step, Socket) or getattr(step, "until", None) for step in self.steps)

    @property
    def needs_database(self) -> bool:
        """Whether it cannot be played where only the URLs of the servers are known."""
        return self.world or any(isinstance(step, Seed | Update | Rows) for step in self.steps)


class Script:
    """What a sequence writes into."""

    def __init__(self, rng: Random | None = None) -> None:
        self.steps: list[Step] = []
        self.rng = rng or Random(0)
        self._labels = 0

    # Values that are the same on both servers, and new in each run

    def name(self, stem: str = "x") -> str:
        """A name nobody else uses."""
        return f"{stem}-{OPEN}ns{CLOSE}"

    def uuid(self, label: str = "") -> str:
        """An id the client makes."""
        if not label:
            self._labels += 1
            label = f"anonymous {self._labels}"
        return f"{OPEN}uuid:{label}{CLOSE}"

    def now(self, seconds: float = 0) -> str:
        """A time, relative to the start of the case."""
        return f"{OPEN}now:{seconds}{CLOSE}"

    # Steps

    def request(self, method: str, path: str, body: Any = MISSING, **options: Any) -> Ref:
        """Send a request; a string, list or object as body is sent as JSON."""
        step = len(self.steps)
        self.steps.append(Request(step, method, path, body, **options))
        return Ref(step)

    def get(self, path: str, **options: Any) -> Ref:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = MISSING, **options: Any) -> Ref:
        """POST."""
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: Any = MISSING, **options: Any) -> Ref:
        """PUT."""
        return self.request("PUT", path, body, **options)

    def patch(self, path: str, body: Any = MISSING, **options: Any) -> Ref:
        """PATCH."""
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Ref:
        """DELETE."""
        return self.request("DELETE", path, **options)

    def seed(self, table: str, **values: Any) -> Ref:
        """Insert a row with the same values on both sides; `id`, `created` and `updated` are made when not given."""
        step = len(self.steps)
        values.setdefault("id", self.uuid(f"{table} {step}"))
        values.setdefault("created", self.now())
        values.setdefault("updated", self.now())
        self.steps.append(Seed(step, table, values))
        return Ref(step)

    def update(self, table: str, where: Mapping[str, Any], **values: Any) -> None:
        """Change rows on both sides."""
        self.steps.append(Update(len(self.steps), table, where, values))

    def rows(self, table: str, *, order_by: str | None = None, columns: Sequence[str] = (), **where: Any) -> Ref:
        """Read rows on both sides and compare them."""
        step = len(self.steps)
        self.steps.append(Rows(step, table, where, order_by, tuple(columns)))
        return Ref(step)

    def socket(self, path: str, *talk: tuple[Any, ...], **options: Any) -> Ref:
        """Hold a conversation over a WebSocket."""
        step = len(self.steps)
        self.steps.append(Socket(step, path, talk, **options))
        return Ref(step)

    def race(self, *requests: tuple[str, str, Any]) -> Ref:
        """Send requests (method, path, body) at the same time."""
        step = len(self.steps)
        self.steps.append(Race(step, [Request(step, *request) for request in requests]))
        return Ref(step)


class Scope:
    """What the placeholders of one playing stand for: new names, a start time, and the answers so far."""

    def __init__(self, namespace: str, start: datetime) -> None:
        self.namespace = namespace
        self.start = start
        self.answers: dict[int, Any] = {}

    def resolve(self, value: Any) -> Any:
        """The value with each placeholder replaced."""
        match value:
            case str():
                return self._text(value)
            case Ref():
                return self._text(str(value))
            case Mapping():
                return {self._text(key): self.resolve(item) for key, item in value.items()}
            case list() | tuple():
                return [self.resolve(item) for item in value]
            case _:
                return value

    def _text(self, text: str) -> Any:
        if OPEN not in text:
            return text
        if text.startswith(OPEN) and text.find(CLOSE) == len(text) - 1:
            return self._one(text[1:-1])
        head, _, rest = text.partition(OPEN)
        inner, _, tail = rest.partition(CLOSE)
        return f"{head}{self._one(inner)}{self._text(tail)}"

    def _one(self, inner: str) -> Any:
        if inner == "ns":
            return self.namespace
        if inner.startswith("uuid:"):
            return str(uuid.uuid5(NAMESPACE, f"{self.namespace} {inner}"))
        if inner.startswith("now:"):
            when = self.start + timedelta(seconds=float(inner[4:]))
            return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        step, *path = inner.split("/")
        try:
            value = self.answers[int(step)]
            for key in path:
                value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise Unresolved(f"the answer of step {step} has no {'.'.join(path) or 'body'}") from error
        return value


# The registry: modules in sequences/ and generators/ fill it when they are imported.

Written = Callable[[Script], None]
Generated = Callable[[Script, Random], None]


@dataclass(frozen=True)
class Declared:
    """A function that writes a script, and what is to be known about it."""

    group: str
    name: str
    title: str
    write: Callable[..., None]
    independent: bool = False
    pristine: bool = False
    world: bool = False
    dialect: str | None = None
    weight: float = 1.0
    alone: bool = False

    def case(self, rng: Random | None = None, number: int | None = None) -> Case:
        """The script, written."""
        script = Script(rng)
        if rng is None:
            self.write(script)
        else:
            self.write(script, rng)
        name = self.name if number is None else f"{self.name}[{number}]"
        options = {key: getattr(self, key) for key in ("independent", "pristine", "world", "dialect", "alone")}
        return Case(self.group, name, tuple(script.steps), self.title, **options)


SEQUENCES: list[Declared] = []
GENERATORS: list[Declared] = []


def _declare(registry: list[Declared], function: Callable[..., None], **options: Any) -> None:
    # A group is its module; a module that is one of several for a group names it.
    group = function.__globals__.get("GROUP") or function.__module__.rpartition(".")[2]
    title = " ".join((function.__doc__ or "").split())
    registry.append(Declared(group, function.__name__, title, function, **options))


def sequence(function: Written | None = None, *, independent: bool = False, dialect: str | None = None) -> Any:
    """Declare a hand-written sequence. It is played with nothing beside it.

    `independent`: its steps do not build on each other, report each of them. `dialect`: the only kind of database on
    which Python Prefect can play it.
    """

    def declare(function: Written) -> Written:
        _declare(SEQUENCES, function, independent=independent, dialect=dialect, alone=True)
        return function

    return declare if function is None else declare(function)


def generator(
    function: Generated | None = None,
    *,
    pristine: bool = False,
    world: bool = False,
    alone: bool = False,
    weight: float = 1.0,
) -> Any:
    """Declare a generator of cases.

    `world`: it reads the seeded data set. `pristine`: it must come before anything else is written, because what it
    reads is not limited to data of its own. `alone`: it must not be played beside others, because it changes what they
    see. `weight`: its share of the group's cases.
    """

    def declare(function: Generated) -> Generated:
        _declare(GENERATORS, function, pristine=pristine, world=world, alone=alone, weight=weight)
        return function

    return declare if function is None else declare(function)
