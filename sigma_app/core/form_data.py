"""Reading a posted form: small, urlencoded, and nothing else."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from sigma_app.core.body import BodyTooLarge, read_body

_LARGEST_FORM = 64 * 1024  # bytes; a browser's form has up to 16 KiB, most of it the address it came by


class UnreadableForm(Exception):
    """What was sent is no form of ours."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an urlencoded form; the first value of a name counts.

    Raises:
        UnreadableForm: another media type, or a body no form of ours can have.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise UnreadableForm(415, "Please send the form as application/x-www-form-urlencoded.")
    try:
        body = await read_body(request, _LARGEST_FORM)
    except BodyTooLarge:
        raise UnreadableForm(413, "That is more than the form holds.") from None
    fields: dict[str, str] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, value)
    return fields
