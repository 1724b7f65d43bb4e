"""Serve WebSocket connections that follow a script, one turn per connection."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = ["Refuse", "ScriptedServer", "Talk", "scripted"]


@dataclass(frozen=True)
class Refuse:
    """Answer the handshake with an HTTP status."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Talk:
    """Accept; say `hello` at once, `says` when `expects` subscriptions came; then stay or end, if need be `after`."""

    hello: tuple[str | bytes, ...] = ()
    expects: int = 1
    says: tuple[str | bytes, ...] = ()
    ends: Literal["close", "reset", "stay"] = "stay"
    after: asyncio.Event | None = None


class ScriptedServer:
    """Remember who came and what they subscribed to; the last turn is played again and again."""

    def __init__(self, turns: tuple[Refuse | Talk, ...]) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.subscribed: list[list[str]] = []
        self._turns = turns
        self._talks: dict[object, Talk] = {}

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Choose the turn of this connection and refuse it where the script says so."""
        turn = self._turns[min(len(self.paths), len(self._turns) - 1)]
        self.paths.append(request.path)
        if isinstance(turn, Talk):
            self._talks[connection.id] = turn
            return None
        response = connection.respond(HTTPStatus(turn.status), "no")
        response.headers.update(turn.headers)
        return response

    async def talk(self, connection: ServerConnection) -> None:
        """Play one connection's turn."""
        turn = self._talks[connection.id]
        symbols: list[str] = []
        self.subscribed.append(symbols)
        try:
            for message in turn.hello:
                await connection.send(message, text=True)
            while len(symbols) < turn.expects:
                symbols.append(msgspec.json.decode(await connection.recv())["symbol"])
            for message in turn.says:
                await connection.send(message, text=True)
            if turn.after is not None:
                await turn.after.wait()
            if turn.ends == "stay":
                await connection.wait_closed()
            elif turn.ends == "reset":
                connection.transport.abort()
        except ConnectionClosed:
            return


@asynccontextmanager
async def scripted(*turns: Refuse | Talk) -> AsyncIterator[ScriptedServer]:
    """Serve on a free port of the loopback."""
    deaf = logging.Logger("server")  # noqa: LOG001  # the client's logs are what the tests look at
    deaf.disabled = True
    server = ScriptedServer(turns)
    async with serve(
        server.talk, "127.0.0.1", 0, process_request=server.answer, logger=deaf, close_timeout=0.2
    ) as listening:
        server.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
        await asyncio.sleep(0)
