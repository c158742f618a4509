"""How messages are written for other processes."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.ports.broker import Topic


@pytest.mark.parametrize("message", [{"n": 2**70}, [-(2**65), 1.5, "é"], None, {"a": {"b": [1, 2]}}])
def test_a_message_is_read_as_it_was_written(message: Any) -> None:
    """Integers beyond 64 bits are no floats afterwards."""
    topic = Topic("any")
    assert topic.unpack(topic.pack(message)) == message
