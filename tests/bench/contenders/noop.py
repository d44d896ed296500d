"""Reads a form and answers 303, and that is all: how fast the load generator could go."""

from __future__ import annotations

from tests.bench.contenders import serve


async def app(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"location", b"/joined"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    serve(app)
