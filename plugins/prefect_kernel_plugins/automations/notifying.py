"""Notifications and webhooks, by what blocks say. httpx and apprise are imported when first needed."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

from prefect_kernel.ids import uuid7

from .calling import ActionFailed, checked

if TYPE_CHECKING:
    from .acting import Invocation

TIMEOUT_SECONDS = 10.0
"""How long a webhook may be silent."""

LONGEST_SECONDS = 60.0
"""How long a webhook may take in all, however little it says at a time; longer where its block says so."""

READ_BYTES = 10_000_000
"""How much of an answer is read."""

SHOWN_CHARACTERS = 1000
"""How much of a webhook's answer is kept."""

_HIDDEN = ("authorization", "traceparent", "via", "cookie", "set-cookie")
_HIDDEN_PREFIXES = ("x-forwarded", "x-b3", "x-cloud-trace", "x-envoy", "x-prefect")


async def _block(one: Invocation, what: str) -> dict[str, Any]:
    """The block document of an action, its secrets included; tells that it was loaded."""
    id = one.action["block_document_id"]
    answer = checked(one.kind, await one.call("GET", f"/block_documents/{id}", query={"include_secrets": "true"}))
    document: dict[str, Any] = answer.json()
    schema = document.get("block_schema")
    if not schema:
        raise ActionFailed(
            f"The {what} block was invalid: ValueError('Unable to determine block schema for provided block document')"
        )
    await _tell_loaded(one, document)
    return document


def _relate(one: Invocation, document: dict[str, Any]) -> None:
    """Relate the action to its block."""
    one.relate(f"prefect.block-document.{one.action['block_document_id']}", "block", document["name"])
    one.relate(f"prefect.block-type.{document['block_type']['slug']}", "block-type")


async def _tell_loaded(one: Invocation, document: dict[str, Any]) -> None:
    """Record that the block was loaded."""
    id, slug = one.action["block_document_id"], document["block_type"]["slug"]
    if not document.get("name") or not one.kernel.events.wanted:
        return
    event = {
        "occurred": one.kernel.clock.now(),
        "event": f"prefect.block.{slug}.loaded",
        "resource": {
            "prefect.resource.id": f"prefect.block-document.{id}",
            "prefect.resource.name": document["name"],
        },
        "related": [{"prefect.resource.id": f"prefect.block-type.{slug}", "prefect.resource.role": "block-type"}],
        "payload": {},
        "id": uuid7(),
        "follows": None,
    }
    await one.kernel.storage.write(one.kernel.events.put, event)


async def _client_options(data: dict[str, Any], url: str) -> dict[str, Any]:
    """Options of a client that reaches what a block allows. Raises ValueError for an address that it does not."""
    verify = data.get("verify", True)
    if data.get("allow_private_urls", True):
        return {"verify": verify}
    from .public import check_public, public_transport

    await check_public(url)
    return {"transport": public_transport(verify)}


async def _request(client: Any, method: str, url: str, **sent: Any) -> tuple[Any, str]:
    """What is answered to a request, and its text. Raises TimeoutError, so that none is waited for without end."""
    body, longest = b"", max(LONGEST_SECONDS, client.timeout.read or 0)
    async with asyncio.timeout(longest), client.stream(method, url, **sent) as response:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > READ_BYTES:
                break
    return response, body.decode(response.encoding or "utf-8", errors="replace")


# ---------------------------------------------------------------- webhooks
async def call_webhook(one: Invocation) -> None:
    """Call the webhook of a block, with the action's id as idempotency key. Raises ActionFailed."""
    document = await _block(one, "webhook")
    if document["block_type"]["slug"] != "webhook":
        raise ActionFailed("The referenced block was not a webhook block")
    _relate(one, document)
    (payload,) = await one.rendered(one.action.get("payload") or "")
    data = document["data"]
    import httpx

    headers = {"Idempotency-Key": one.id, **(data.get("headers") or {})}
    try:
        options = await _client_options(data, data["url"])
        async with httpx.AsyncClient(**options, timeout=TIMEOUT_SECONDS) as client:
            response, text = await _request(
                client, data.get("method", "POST"), data["url"], headers=headers, content=payload
            )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise ActionFailed(f"Webhook call failed: {error!r}") from None
    one.details.update(
        status_code=response.status_code,
        response_body=_shortened(text),
        response_headers={key: value for key, value in response.headers.items() if not _hidden(key)},
    )


def _hidden(header: str) -> bool:
    name = header.lower()
    return name in _HIDDEN or name.startswith(_HIDDEN_PREFIXES)


def _shortened(text: str) -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    half = SHOWN_CHARACTERS // 2
    shortened = f"{text[:half]}...{len(text) - 2 * half} additional characters...{text[-half:]}"
    return shortened if len(shortened) < len(text) else text


# ---------------------------------------------------------------- notifications
async def send_notification(one: Invocation) -> None:
    """Send a text by what a block says. Raises ActionFailed."""
    document = await _block(one, "notification")
    if "notify" not in (document["block_schema"].get("capabilities") or ()):
        raise ActionFailed("The referenced block was not a notification block")
    slug, data = document["block_type"]["slug"], document["data"]
    try:
        prepared = None if slug == "custom-webhook" else _apprise(slug, data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise ActionFailed(f"The notification block was invalid: {error!r}") from None
    _relate(one, document)
    subject, body = await one.rendered(one.action["subject"], one.action["body"])
    if prepared is None:
        await _custom(data, subject, body)
        return
    if slug == "pager-duty-webhook" and subject:
        details = {**(data.get("custom_details") or {}), "Prefect Notification Body": body.replace(" ", "%20")}
        prepared, body = _apprise(slug, {**data, "custom_details": details}), " "
    if not data.get("allow_private_urls", True):
        from .public import check_public

        try:
            await check_public(data["url"])
        except ValueError as error:
            one.details["notification_log"] = str(error)
            raise ActionFailed("Notification failed") from None
    eavesdropper = _Eavesdropper()
    logger = logging.getLogger("apprise")
    logger.addHandler(eavesdropper)
    try:
        sent = await prepared.async_notify(
            body=body, title=subject or "", notify_type=data.get("notify_type") or "info"
        )
    finally:
        logger.removeHandler(eavesdropper)
    if not sent:
        one.details["notification_log"] = "\n".join(eavesdropper.lines)
        raise ActionFailed("Notification failed")


class _Eavesdropper(logging.Handler):
    """Keeps what a notification's library logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("[%(levelname)s]: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


_SLACK_GOV = re.compile(r"^https?://hooks\.slack-gov\.com/services/(\w+)/(\w+)/(\w+)/?$", re.IGNORECASE)


def _apprise(slug: str, data: dict[str, Any]) -> Any:
    """The client that sends what a block of this type says. Raises whatever its library finds wrong."""
    from apprise import Apprise, AppriseAsset

    name = "Prefect Notifications"
    client = Apprise(asset=AppriseAsset(app_id=name, app_desc=name, app_url="https://prefect.io"))
    client.add(_service(slug, data))
    return client


def _service(slug: str, data: dict[str, Any]) -> Any:
    """What apprise is to send to: a URL, or a plugin of its."""
    get = data.get
    if slug == "slack-webhook" and (found := _SLACK_GOV.match(data["url"])):
        from apprise.plugins.slack import NotifySlack

        slack = NotifySlack(token_a=found[1], token_b=found[2], token_c=found[3])
        slack.webhook_url = "https://hooks.slack-gov.com/services"
        return slack
    if slug == "ms-teams-webhook":
        from apprise.plugins.workflows import NotifyWorkflows

        parts = NotifyWorkflows.parse_native_url(data["url"])
        if not parts:
            raise ValueError("Invalid Microsoft Teams Workflow URL provided.")
        return NotifyWorkflows(**parts | {"include_image": get("include_image", False), "wrap": get("wrap", True)})
    if slug == "pager-duty-webhook":
        from apprise.plugins.pagerduty import NotifyPagerDuty

        return NotifyPagerDuty(
            apikey=data["api_key"], integrationkey=data["integration_key"], source=get("source") or "Prefect",
            component=get("component") or "Notification", group=get("group"), class_id=get("class_id"),
            region_name=get("region_name") or "us", click=get("clickable_url"),
            include_image=get("include_image", True), details=get("custom_details"),
        )  # fmt: skip
    if slug == "twilio-sms":
        from apprise.plugins.twilio import NotifyTwilio

        return NotifyTwilio(
            account_sid=data["account_sid"], auth_token=data["auth_token"], source=data["from_phone_number"],
            targets=data["to_phone_numbers"],
        )  # fmt: skip
    if slug == "opsgenie-webhook":
        from apprise.plugins.opsgenie import NotifyOpsgenie

        marks = {"@": "target_user", "#": "target_team", "*": "target_schedule", "^": "target_escalation"}
        return NotifyOpsgenie(
            apikey=data["apikey"], targets=[f"{mark}{one}" for mark, key in marks.items() for one in get(key) or ()],
            region_name=get("region_name") or "us", details=get("details"), priority=get("priority") or 3,
            alias=get("alias"), entity=get("entity"), batch=get("batch", False), tags=get("tags") or [], action="new",
        )  # fmt: skip
    if slug == "mattermost-webhook":
        from apprise.plugins.mattermost import NotifyMattermost

        return NotifyMattermost(
            token=data["token"], fullpath=get("path"), host=data["hostname"], user=get("botname"),
            targets=get("channels"), include_image=get("include_image", False), port=get("port", 8065),
            secure=get("secure", False),
        )  # fmt: skip
    if slug == "discord-webhook":
        from apprise.plugins.discord import NotifyDiscord

        return NotifyDiscord(
            webhook_id=data["webhook_id"], webhook_token=data["webhook_token"], botname=get("botname"),
            tts=get("tts", False), include_image=get("include_image", False), avatar=get("avatar", False),
            avatar_url=get("avatar_url"),
        )  # fmt: skip
    if slug == "sendgrid-email":
        from apprise.plugins.sendgrid import NotifySendGrid

        return NotifySendGrid(apikey=data["api_key"], from_email=data["sender_email"], targets=data["to_emails"])
    return data["url"]


# ---------------------------------------------------------------- the webhook that is put together by hand
_PLACEHOLDER = re.compile(r"{{\s*([\w.\-\[\]$]+)\s*}}")


def _applied(template: Any, values: dict[str, str]) -> Any:
    """A template with its placeholders replaced; one that is nothing but a placeholder becomes its value."""
    if isinstance(template, dict):
        return {_applied(key, values): _applied(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_applied(item, values) for item in template]
    if isinstance(template, str):
        return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), template)
    return template


async def _custom(data: dict[str, Any], subject: str, body: str) -> None:
    import httpx

    values = {**(data.get("secrets") or {}), "subject": subject, "body": body, "name": data["name"]}
    form = data.get("form_data")
    names = {"url": "url", "params": "params", "json": "json_data", "headers": "headers", "cookies": "cookies"}
    made = {name: _applied(data.get(key), values) for name, key in names.items()}
    made["content" if isinstance(form, str) else "data"] = _applied(form, values)
    cookies = made.pop("cookies")
    try:
        async with httpx.AsyncClient(
            headers={"user-agent": "Prefect Notifications"},
            cookies=cookies,
            timeout=data.get("timeout", 10),
            **await _client_options(data, made["url"]),
        ) as client:
            response, _ = await _request(client, data.get("method", "POST"), **made)
        response.raise_for_status()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise ActionFailed(f"Notification failed: {error!r}") from None
