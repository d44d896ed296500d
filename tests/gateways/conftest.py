"""A Resend on loopback that answers as it is told, for the real SDK to speak to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sigma_app.settings import get_settings

KEY = "re_s3cret"


@dataclass
class Request:
    """What arrived."""

    line: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Resend:
    """Answers each request with the next of `answers`, raw bytes, or with an id; b"" drops, None never answers."""

    url: str = ""
    answers: list[bytes | None] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def answer(self, status: int, body: Any, content_type: str = "application/json", **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        named = {"content-type": content_type, "content-length": str(len(text.encode()))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} Any", *(f"{name}: {value}" for name, value in named.items()), "", text]
        self.answers.append("\r\n".join(lines).encode())

    def refuse(self, status: int, name: str, message: str = "No.", **headers: str) -> None:
        self.answer(status, {"statusCode": status, "name": name, "message": message}, **headers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.requests.append(Request(line, headers, body))
                if not self.answers:
                    self.answer(200, {"id": f"mail-{len(self.requests)}"})
                said = self.answers.pop(0)
                if said is None:
                    await reader.read()  # until the client gives up
                    return
                writer.write(said)
                await writer.drain()
                if not said:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def resend_api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Resend]:
    """Mail is hosted, at this server."""
    fake = Resend()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("RESEND_API_KEY", KEY)
    monkeypatch.setenv("RESEND_API_URL", fake.url)
    monkeypatch.setenv("MAIL_FROM", "Sigma <hello@sigma.example.com>")
    get_settings.cache_clear()
    yield fake
    get_settings.cache_clear()
    server.close()
    await server.wait_closed()
