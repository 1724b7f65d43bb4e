"""Run an ASGI app with uvicorn as a part of a larger program: no signal handlers, and no URL in any log."""

import contextlib
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

__all__ = ["RESET", "EmbeddedServer", "server_config"]

RESET = "tickhouse.reset"  # name of the ASGI extension below
STOP_WITHIN_S = 1


class EmbeddedServer(uvicorn.Server):
    """Leave the signals to the program that runs the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _ResettableProtocol(WebSocketsSansIOProtocol):
    """Offer the app a way to reset a connection, which ASGI lacks: `scope["extensions"][RESET]["reset"]`."""

    async def send(self, message: ASGISendEvent) -> None:
        """Take a refused handshake as complete: uvicorn logs an error otherwise."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def handle_connect(self, event: Request) -> None:
        """Add the extension to the scope before the app sees it."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # it isn't where the handshake was no WebSocket's
            self.scope["extensions"][RESET] = {"reset": self.transport.abort}


def server_config(app: ASGIApp) -> uvicorn.Config:
    """Return the configuration of a WebSocket server as quiet as Finnhub's: no keep-alive pings, no compression."""
    return uvicorn.Config(
        app,
        http="h11",
        ws=_ResettableProtocol,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",  # at info uvicorn logs each URL, key included
        access_log=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
