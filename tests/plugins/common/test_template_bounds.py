"""What templates may not do: loop for ever, fill the memory. What they may do works as in plain Jinja."""

from __future__ import annotations

import time
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel
from prefect_kernel_plugins.common.templates import TemplateError, render

__all__ = ["make_kernel"]

VALUES: dict[str, Any] = {"d": {"a": 1, "b": [1, 2]}}
LONG = "'x' * 1000000"
DOUBLED = "{% set ns = namespace(x='a' * 1000000) %}{% for i in range(100) %}{% set ns.x = EXPRESSION %}{% endfor %}"
NESTED = "".join("{% set a = [" + ",".join(["a"] * 10) + "] %}" for _ in range(12))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% for i in [1,2] %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}", "1/2,2/2"),
        ("{% for i in x %}a{% else %}none{% endfor %}", "none"),
        ("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "a=1;b=[1, 2];"),
        ("{% for i in [[1, [2]], [3]] recursive %}{{ loop(i) if i is sequence else i }}{% endfor %}", "123"),
        ("{{ 'a' ~ 1 ~ none ~ x }}", "a1None"),
        ("{{ 1 + 2 }} {{ 'a' + 'b' }} {{ [1] + [2] }} {{ '%s-%05d' % ('x', 3) }}", "3 ab [1, 2] x-00003"),
        ("{{ 'a'|center(3) }}{{ 'a,b'.split(',')|join('+') }}{{ 'aXa'|replace('X', '-') }}", " a a+ba-a"),
        ("{{ d|tojson }} {{ '{:>3}'.format('x') }} {{ [3, 1]|sort|first }}", '{"a": 1, "b": [1, 2]}   x 1'),
        ("{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(1) }}{{ f('x') }}", "<1><x>"),
        ("{{ 1 < 2 < 3 }} {{ 'a' in 'abc' }} {{ d.a == 1 }} {{ 12345678|default(5) }}", "True True True 12345678"),
    ],
)
def test_what_they_may(template: str, expected: str) -> None:
    """Loops, texts, numbers, filters, macros."""
    assert render(template, VALUES) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in LONG %}{% for b in LONG %}{% endfor %}{% endfor %}".replace("LONG", LONG),
        "{% for i in LONG %}{{ i }}{% endfor %}".replace("LONG", LONG),
        "{% for i in ['x' * 1000] recursive %}{{ loop('x' * 1000) }}{% endfor %}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        DOUBLED.replace("EXPRESSION", "ns.x ~ ns.x"),
        DOUBLED.replace("EXPRESSION", "ns.x + ns.x"),
        DOUBLED.replace("EXPRESSION", "ns.x|replace('a', 'aaa')"),
        DOUBLED.replace("EXPRESSION", "[ns.x, ns.x]|join"),
        "{% set x = 'a' * 1000000 %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
        "{% for i in range(100) %}{% for j in range(100) %}{{ LONG }}{% endfor %}{% endfor %}".replace("LONG", LONG),
        "{{ 'a'|center(1000000000) }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '%0999999999d'|format(1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:>{w}}'.format(1, w=999999999) }}",
        "{{ [1]|tojson(indent=1000000000) }}",
        "{{ ('\n' * 1000000)|indent(1000) }}",
        "{{ [1]|batch(1000000000, 'x')|list }}",
        "{{ [1]|slice(1000000000)|list }}",
        "{{ lipsum(n=1000000000) }}",
        "{{ (1).to_bytes(1000000000, 'big') }}",
        "{{ 1.5|round(1000000000, 'ceil') }}",
        "{{ 2 ** 100000000 }}",
        "{{ ['a' * 1000000] * 10000 }}",
        "{{ (['a' * 1000000] * 10000)|string }}",
        "{{ ''.join(['a' * 1000000] * 10000) }}",
        "{{ ('a' * 1000000).translate({97: 'x' * 1000000}) }}",
        "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
        "{{ ([[1]] * 1000)|sum(start=[]) }}",
        "{% set a = ['x'] %}" + NESTED + "{{ a }}",
        "{% set a = ['x'] %}" + NESTED + "{{ a == a|list }}",
        "{{ 1|humanize_naturalsize(format='%.999999999f') }}",
        "{{ range(1000) }}",
    ],
)
def test_what_they_may_not(template: str) -> None:
    """It is refused before it takes long or much; whatever has time to measure is other processes' as well."""
    began = time.process_time()
    with pytest.raises(TemplateError, match=r"OverflowError|RecursionError"):
        render(template, VALUES)
    assert time.process_time() - began < 10


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on each database."""
    return make_kernel(storage=prepared_url)


def test_a_run_that_anybody_may_make(kernel: KernelUnderTest) -> None:
    """Parameters of a run are templates, too: one that has no end is refused, and nothing else waits for it."""
    flow = kernel.client.post("/flows/", json={"name": "f"}).json()
    deployment = kernel.client.post("/deployments/", json={"name": "d", "flow_id": flow["id"]}).json()
    template = "{% for a in LONG %}{% for b in LONG %}{% endfor %}{% endfor %}".replace("LONG", LONG)
    body = {"parameters": {"a": {"__prefect_kind": "jinja", "template": template}}}
    answer = kernel.client.post(f"/deployments/{deployment['id']}/create_flow_run", json=body)
    assert answer.status in (400, 422), answer.text
    assert kernel.client.post("/flow_runs/count", json={}).json() == 0
