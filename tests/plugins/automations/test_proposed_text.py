"""The text that the first version of the interface proposes for notifications."""

from __future__ import annotations

import jinja2

from prefect_kernel_plugins.automations.shown import Event

PROPOSED = """\
Resource:
{% for label, value in event.resource %}
{{ label }}: {{ value }}
{% endfor %}
Related Resources:
{% for related in event.related %}
    Role: {{ related.role }}
    {% for label, value in related %}
    {{ label }}: {{ value }}
    {% endfor %}
{% endfor %}"""
"""A part of it."""


def test_the_proposed_text_can_be_rendered() -> None:
    """It goes through resources as if they were pairs, and gets what Prefect gives it."""
    resource = {"prefect.resource.id": "shop.till.1", "colour": "red"}
    related = {"prefect.resource.id": "shop.1", "prefect.resource.role": "shop"}
    event = Event({"event": "x", "resource": resource, "related": [related], "payload": {}})
    text = jinja2.Template(PROPOSED).render(event=event)
    assert [line.strip() for line in text.splitlines() if line.strip()] == [
        "Resource:",
        "root: {'prefect.resource.id': 'shop.till.1', 'colour': 'red'}",
        "Related Resources:",
        "Role: shop",
        "root: {'prefect.resource.id': 'shop.1', 'prefect.resource.role': 'shop'}",
    ]
    assert dict(event["resource"]) == resource
    assert event["resource"].labels["colour"] == "red"
