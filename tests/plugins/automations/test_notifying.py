"""Where notifications and webhooks may not go, in Prefect's words."""

from __future__ import annotations

import pytest

from prefect_kernel_plugins.automations.notifying import check_public

pytestmark = [pytest.mark.asyncio]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "'ftp://example.com/' is not a valid URL.  Only HTTP and HTTPS URLs are allowed."),
        ("http:///path", "'http:///path' is not a valid URL."),
        ("http://10.0.0.1/", "'http://10.0.0.1/' is not a valid URL.  It resolves to the private address 10.0.0.1."),
        ("https://[::1]/", "'https://[::1]/' is not a valid URL.  It resolves to the private address ::1."),
        ("http://host.invalid/", "'http://host.invalid/' is not a valid URL.  It could not be resolved."),
    ],
)
async def test_what_is_refused(url: str, reason: str) -> None:
    """Other schemes, no host, private addresses, and hosts that are none."""
    with pytest.raises(ValueError, match="not a valid URL") as refused:
        await check_public(url)
    assert str(refused.value) == reason
