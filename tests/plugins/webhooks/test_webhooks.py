"""Inbound webhooks: made, checked, and turned into events."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel

TEMPLATE = (
    '{"event": "shop.{{ body.kind }}", "resource": {"prefect.resource.id": "shop.{{ body.id }}"},'
    ' "payload": {{ {"body": body, "q": query_params.q | default(none),'
    ' "from": headers["X-From"] | default(none)} | tojson }}}'
)
BODY = {"kind": "order", "id": 7, "text": 'a "quoted" <text> é'}


def make(kernel: KernelUnderTest, **fields: Any) -> Any:
    """Make a webhook; as it is shown."""
    answer = kernel.client.post("/kernel/hooks/", json={"name": "shop", "template": TEMPLATE, **fields})
    assert answer.status == 201, answer.text
    return answer.json()


def send(kernel: KernelUnderTest, slug: str, body: Any = BODY, query: Any = None, **headers: str) -> Any:
    """Send a body to a webhook, as JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return kernel.client.post(f"/kernel/hooks/{slug}", json=content, params=query, headers=named)


def stored(kernel: KernelUnderTest) -> list[Any]:
    """The events that webhooks have made."""
    body = {"filter": {"event": {"prefix": ["shop."]}, "order": "ASC"}}
    found: list[Any] = kernel.client.post("/events/filter", json=body).json()["events"]
    return found


def test_a_request_becomes_an_event(kernel: KernelUnderTest) -> None:
    """By the template, with body, headers and query; stored when the answer comes; the secret is told once."""
    made = make(kernel)
    assert made["path"] == f"/api/kernel/hooks/{made['slug']}"
    assert len(made["slug"]) > 20
    answer = send(kernel, made["slug"], query={"q": "1"}, x_from="us", x_webhook_secret=made["secret"])
    assert (answer.status, answer.text) == (204, "")
    (event,) = stored(kernel)
    assert (event["event"], event["resource"]) == ("shop.order", {"prefect.resource.id": "shop.7"})
    assert event["payload"] == {"body": BODY, "q": "1", "from": "us"}
    shown = kernel.client.get(f"/kernel/hooks/{made['slug']}").json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert kernel.client.get("/kernel/hooks/").json() == [shown]
    assert kernel.client.get("/kernel/hooks/", params={"offset": 2**31 - 1}).json() == []
    assert kernel.client.get("/kernel/hooks/", params={"offset": 2**31}).status == 422


def test_who_does_not_know_the_secret(kernel: KernelUnderTest) -> None:
    """Is refused, and nothing is stored; so is who asks for what is not there, or is switched off."""
    made = make(kernel, slug="shop", secret="correct horse")
    assert "secret" not in made
    assert send(kernel, "shop").status == 403
    assert send(kernel, "shop", x_webhook_secret="wrong").status == 403
    assert send(kernel, "nothing", x_webhook_secret="correct horse").status == 404
    assert send(kernel, "shop", x_webhook_secret="correct horse").status == 204
    make(kernel, slug="umlaut", secret="größer als ß")
    as_sent = "größer als ß".encode().decode("latin-1")
    assert send(kernel, "umlaut", {**BODY, "kind": "other"}, x_webhook_secret=as_sent).status == 204
    assert kernel.client.patch("/kernel/hooks/shop", json={"enabled": False}).status == 200
    assert send(kernel, "shop", x_webhook_secret="correct horse").status == 404
    assert {one["event"] for one in stored(kernel)} == {"shop.order", "shop.other"}


def test_integers_stay_what_they_are(make_kernel: MakeKernel) -> None:
    """However large they are, on their way through the template."""
    kernel = make_kernel()
    make(kernel, slug="shop", verify="none")
    assert send(kernel, "shop", {**BODY, "n": 2**70}).status == 204
    assert stored(kernel)[0]["payload"]["body"]["n"] == 2**70
    assert send(kernel, "shop", b'{"n": NaN, "m": 1180591620717411303424}').status == 400


@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_signatures(kernel: KernelUnderTest, prefix: str) -> None:
    """A HMAC over the body as it was sent, in the header that was agreed upon."""
    make(kernel, slug="shop", verify="hmac-sha256", header="X-Signature", secret="correct horse")
    content = json.dumps(BODY, indent=2).encode()
    signature = prefix + hmac.new(b"correct horse", content, hashlib.sha256).hexdigest()
    assert send(kernel, "shop", content, x_signature=signature).status == 204
    assert send(kernel, "shop", content, x_signature=signature.upper()).status == 204
    assert send(kernel, "shop", content + b" ", x_signature=signature).status == 403
    assert send(kernel, "shop", content, x_signature="").status == 403
    assert send(kernel, "shop", content).status == 403
    assert len(stored(kernel)) == 2


def test_signed_times(kernel: KernelUnderTest) -> None:
    """The time is signed with the body and must be now; a copy of a request is answered as it was, and is no event."""
    made = make(kernel, slug="shop", verify="hmac-sha256", secret="correct horse", timestamp_header="X-Sent")
    assert (made["timestamp_header"], made["tolerance_seconds"]) == ("x-sent", 300)
    content, now = json.dumps(BODY).encode(), int(kernel.clock.now().timestamp())

    def sent(time: Any, signed: Any = None, body: bytes = content) -> int:
        over = f"{time if signed is None else signed}.".encode() + content
        signature = hmac.new(b"correct horse", over, hashlib.sha256).hexdigest()
        status: int = send(kernel, "shop", body, x_hub_signature_256=signature, x_sent=str(time)).status
        return status

    for wrong in (now - 301, now + 301, "", "x", f"{now}.0", f" {now}", f"-{now}", "9" * 13, "²" * 10):
        assert sent(wrong) == 403, wrong
    assert sent(now, signed=now - 1) == 403
    assert sent(now, body=content + b" ") == 403
    plain = hmac.new(b"correct horse", content, hashlib.sha256).hexdigest()
    assert send(kernel, "shop", content, x_hub_signature_256=plain).status == 403
    assert stored(kernel) == []
    for time in (now, now, now - 300, now + 300, now):
        assert sent(time) == 204
    assert len(stored(kernel)) == 3

    def change(**changes: Any) -> Any:
        answer = kernel.client.patch("/kernel/hooks/shop", json=changes)
        found = answer.json()
        return (found["timestamp_header"], found["tolerance_seconds"]) if answer.status == 200 else answer.status

    assert change(tolerance_seconds=5) == ("x-sent", 5)
    assert sent(now - 6) == 403
    assert change(name="other") == ("x-sent", 5)
    assert change(timestamp_header="x-time") == ("x-time", 5)
    assert change(timestamp_header=None) == (None, None)
    assert send(kernel, "shop", content, x_hub_signature_256=plain).status == 204
    assert change(tolerance_seconds=5) == 422
    assert change(timestamp_header="x-time", tolerance_seconds=0) == 422
    assert change(timestamp_header="x-time") == ("x-time", 300)
    assert change(verify="secret", tolerance_seconds=5) == 422
    assert change(verify="secret") == (None, None)


@pytest.mark.parametrize(
    ("template", "body", "status", "said"),
    [
        (TEMPLATE, b"{", 400, "no JSON"),
        (TEMPLATE, b"[" * 2000, 400, "no JSON"),
        (TEMPLATE.replace("body.id", "7").replace("body.kind", "1"), b"[" * 300 + b"]" * 300, 422, "no event"),
        (TEMPLATE, b'{"id": 1}' + b" " * 1_000_000, 413, "larger"),
        ("{{ body.kind }}", {"kind": "x"}, 422, "no JSON"),
        ("[1]", {}, 422, "no JSON object"),
        ('{"event": "shop.x"}', {}, 422, "resource: Field required"),
        ('{"event": "shop.x", "resource": {}}', {}, 422, "prefect.resource.id"),
        ("{{ body.a.b() }}", {}, 422, "template failed"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", {}, 422, "template failed"),
        ("{{ 10 ** 1000000000 }}", {}, 422, "Number too big"),
        ("{{ body.n * body.n }}", b'{"n": 9007199254740993}', 422, "no JSON object"),
        ("{{ 'x' * body.n }}", {"n": 10**9}, 422, "Too long"),
        ("{{ body.n * ['x'] }}", {"n": 10**9}, 422, "Too long"),
        ("{{ (10 ** 9999) * (10 ** 9999 * 10) }}", {}, 422, "Number too big"),
    ],
)
def test_what_cannot_be_an_event(make_kernel: MakeKernel, template: str, body: Any, status: int, said: str) -> None:
    """It is said what is wrong, and nothing is stored."""
    kernel = make_kernel()
    make(kernel, slug="shop", verify="none", template=template)
    answer = send(kernel, "shop", body)
    assert answer.status == status, answer.text
    assert said in answer.text
    assert stored(kernel) == []


def test_forms_and_texts(make_kernel: MakeKernel) -> None:
    """A form is a mapping, anything else a text; credentials of the request are not shown to templates."""
    kernel = make_kernel()
    template = '{"event": "shop.x", "resource": {"prefect.resource.id": "{{ body.a }}{{ headers.authorization }}"}}'
    make(kernel, slug="shop", verify="none", template=template)
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert send(kernel, "shop", b"a=%C3%A9&b=2", content_type=form, authorization="Bearer x").status == 204
    kernel.client.patch("/kernel/hooks/shop", json={"template": template.replace("body.a", "body")})
    assert send(kernel, "shop", b"text", content_type="text/plain").status == 204
    assert send(kernel, "shop", b"\xff", content_type="text/plain").status == 400
    assert {one["resource"]["prefect.resource.id"] for one in stored(kernel)} == {"é", "text"}


def test_changes(kernel: KernelUnderTest) -> None:
    """What is left out stays; the way to check can be changed, with the secret that is there or a new one."""
    made = make(kernel, slug="shop")
    changed = kernel.client.patch("/kernel/hooks/shop", json={"verify": "hmac-sha256"}).json()
    assert (changed["verify"], changed["header"], "secret" in changed) == ("hmac-sha256", "x-hub-signature-256", False)
    content = json.dumps(BODY).encode()
    signature = hmac.new(made["secret"].encode(), content, hashlib.sha256).hexdigest()
    assert send(kernel, "shop", content, x_hub_signature_256=signature).status == 204
    assert kernel.client.patch("/kernel/hooks/shop", json={"verify": "none"}).json()["header"] is None
    assert send(kernel, "shop").status == 204
    again = kernel.client.patch("/kernel/hooks/shop", json={"verify": "secret"}).json()
    assert again["secret"] != made["secret"]
    assert kernel.client.patch("/kernel/hooks/other", json={}).status == 404
    assert kernel.client.delete("/kernel/hooks/shop").status == 204
    assert kernel.client.delete("/kernel/hooks/shop").status == 404


def test_wrong_webhooks(kernel: KernelUnderTest) -> None:
    """A slug that is taken, a template that is none, members that nobody knows, what one database cannot store."""
    make(kernel, slug="shop")
    taken = kernel.client.post("/kernel/hooks/", json={"name": "b", "template": "{}", "slug": "shop"})
    assert taken.status == 409
    for wrong in (
        {"template": "{{ a"},
        {"slug": "a/b"},
        {"verify": "md5"},
        {"secret": "short"},
        {"colour": "red"},
        {"name": "a\0b"},
        {"template": "a\0b"},
        {"timestamp_header": "x-sent"},
        {"tolerance_seconds": 5},
        {"verify": "hmac-sha256", "tolerance_seconds": 5},
    ):
        body = {"name": "b", "template": "{}", **wrong}
        assert kernel.client.post("/kernel/hooks/", json=body).status == 422, wrong
    assert len(kernel.client.get("/kernel/hooks/").json()) == 1


def test_open_to_those_with_the_secret_alone(make_kernel: MakeKernel) -> None:
    """Where the server asks for credentials and CSRF tokens, senders need neither, and whoever makes webhooks both."""
    kernel = make_kernel(
        settings={
            "PREFECT_SERVER_API_AUTH_STRING": "admin:secret-word",
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": True,
        }
    )
    body = {"name": "shop", "template": TEMPLATE, "slug": "shop", "secret": "correct horse"}
    known = {"authorization": f"Basic {base64.b64encode(b'admin:secret-word').decode()}"}
    given = kernel.client.get("/csrf-token", params={"client": "me"}, headers=known).json()
    token = {"prefect-csrf-token": given["token"], "prefect-csrf-client": "me"}
    assert kernel.client.post("/kernel/hooks/", json=body, headers=known).status == 403
    assert kernel.client.post("/kernel/hooks/", json=body, headers=token).status == 401
    assert kernel.client.post("/kernel/hooks/", json=body, headers=known | token).status == 201
    assert send(kernel, "shop").status == 403
    assert send(kernel, "shop", x_webhook_secret="correct horse").status == 204
    assert kernel.client.get("/kernel/hooks/shop").status == 401
    assert kernel.client.delete("/kernel/hooks/shop", headers=known).status == 403
