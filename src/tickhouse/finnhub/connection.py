"""Open and read one WebSocket connection, with errors that can't carry the key."""

import logging
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

import msgspec
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.http11 import Response

from tickhouse.errors import FeedLost, KeyRefused, SettingInvalid, TickhouseError

__all__ = ["Connection", "Throttled", "connect", "scrub"]

URL_SETTING = "TICKHOUSE_FINNHUB_WS_URL"
MAX_MESSAGE_BYTES = 900_000  # a message that can't be read must still fit into one Kafka record (1 MB by default)
MAX_QUEUED_MESSAGES = 64
CLOSE_TIMEOUT_S = 1.0
MAX_RETRY_AFTER_S = 600.0
REFUSALS = frozenset({401, 403})
TOO_MANY_REQUESTS = 429

# The library logs the request line, and with it the key, at debug level: this logger belongs to no tree and is deaf.
_deaf_logger = logging.Logger("tickhouse.finnhub.websockets")  # noqa: LOG001  # kept out of logging's tree on purpose
_deaf_logger.disabled = True


class Throttled(FeedLost):
    """The server asked for a pause, in seconds, before the next attempt."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"HTTP {TOO_MANY_REQUESTS} at the handshake")
        self.retry_after_s = retry_after_s


class Connection:
    """Send and receive on one open WebSocket; every failure is a `FeedLost`."""

    def __init__(self, socket: ClientConnection, key: SecretStr) -> None:
        self._socket = socket
        self._key = key

    async def subscribe(self, symbol: str) -> None:
        """Ask for one symbol's trades."""
        await self._send({"type": "subscribe", "symbol": symbol})

    async def receive(self) -> bytes:
        """Return the next message as it came, undecoded; safe to cancel."""
        problem: FeedLost
        try:
            return await self._socket.recv(decode=False)
        except (OSError, WebSocketException) as error:
            problem = FeedLost(scrub(_closing(error), self._key))
        raise problem

    async def close(self) -> None:
        """Say goodbye; never fail."""
        await self._socket.close()

    async def _send(self, message: dict[str, str]) -> None:
        problem: FeedLost
        try:
            await self._socket.send(msgspec.json.encode(message).decode())
        except (OSError, WebSocketException) as error:
            problem = FeedLost(scrub(_closing(error), self._key))
        else:
            return
        raise problem


async def connect(url: str, key: SecretStr, *, market_time: bool, key_found_in: str) -> Connection:
    """Open a connection, raising `FeedLost`, `KeyRefused` or `SettingInvalid`.

    The error is raised outside of the handler, so that not even its context holds the lower library's error, whose
    text may have the URL.
    """
    problem: TickhouseError
    remote = url.startswith("wss:")
    try:
        opening = open_websocket(
            _address(url, key, market_time=market_time),
            logger=_deaf_logger,
            compression="deflate" if remote else None,
            proxy=True if remote else None,
            open_timeout=None,
            # A pong can't be read while back-pressure leaves the socket unread; the watchdog finds a dead connection.
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_QUEUED_MESSAGES,
        )
    except (InvalidURI, ValueError):
        opening = None
    if opening is None:
        raise SettingInvalid(URL_SETTING, "not a ws:// or wss:// URL")
    try:
        return Connection(await opening, key)
    except InvalidStatus as error:
        problem = _refusal(error.response, key_found_in)
    except (OSError, EOFError, WebSocketException) as error:
        problem = FeedLost(scrub(f"{type(error).__name__}: {error}", key))
    raise problem


def scrub(text: str, key: SecretStr) -> str:
    """Return `text` without the key, whether plain or as it stands in a URL."""
    secret = key.get_secret_value()
    for form in (secret, quote_plus(secret)):
        if form:
            text = text.replace(form, "***")
    return text


def _address(url: str, key: SecretStr, *, market_time: bool) -> str:
    parts = urlsplit(url)
    clock = [("clock", "market")] if market_time else []
    query = urlencode([*parse_qsl(parts.query), ("token", key.get_secret_value()), *clock])
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _refusal(response: Response, key_found_in: str) -> TickhouseError:
    status = response.status_code
    if status in REFUSALS:
        return KeyRefused(status, key_found_in)
    if status == TOO_MANY_REQUESTS:
        wait = response.headers.get("Retry-After", "")
        return Throttled(min(MAX_RETRY_AFTER_S, float(wait)) if wait.isascii() and wait.isdigit() else 0.0)
    return FeedLost(f"HTTP {status} at the handshake")


def _closing(error: Exception) -> str:
    if not isinstance(error, ConnectionClosed):
        return f"{type(error).__name__}: {error}"
    if error.rcvd is not None:
        return f"closed by the server: {error.rcvd.code} {error.rcvd.reason}".rstrip()
    if error.sent is not None:
        return f"closed for a breach of the protocol: {error.sent.code} {error.sent.reason}".rstrip()
    return "connection reset"
