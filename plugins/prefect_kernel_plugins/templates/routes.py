"""The route that checks templates, under both of its paths."""

from __future__ import annotations

from prefect_kernel import web
from prefect_kernel.web.validation import BodyReader

from ..common.templates import TemplateError, check_template

group = web.Group("Templates")

_READER = BodyReader(str, embed=False)


@group.post("/automations/templates/validate", status=204, permission="read")
@group.post("/templates/validate", status=204, permission="read")
async def validate_template(request: web.Request) -> web.Reply:
    """Nothing when the body, a JSON string, is a template; else what is wrong with it, and where."""
    content = await request.read(request.kernel.dispatcher.max_body)
    body = _READER.parse(content, request.header("content-type"))
    template: str = "" if body is None else _READER.validate(body)
    try:
        check_template(template)
    except TemplateError as error:
        return web.json({"error": {"line": error.line, "message": error.short, "source": template}}, 422)
    return web.no_content()
