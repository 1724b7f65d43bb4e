"""Keep the book of what each symbol's feed was covered by, and turn it into status events."""

from collections.abc import Iterable, Sequence

from tickhouse.finnhub.wire import LostPrint
from tickhouse.market import FeedState, FeedStatus

__all__ = ["FeedBook"]

US_PER_MS = 1_000
BELIEVED_US = 3_600_000_000  # between a print and its arrival: the latest on record came after 40 minutes

Statuses = tuple[FeedStatus, ...]


class FeedBook:
    """Tell, per symbol, intervals that follow each other without a hole; all times are UTC epoch microseconds.

    `quiet_us` is how long the feed may say nothing before `alive` stops vouching for it: the last message is the only
    proof that the connection still worked.
    """

    def __init__(self, symbols: Sequence[str], quiet_us: int) -> None:
        self._symbols = tuple(symbols)
        self._quiet_us = quiet_us
        self._told_to_us: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._connected_us = 0
        self._heard_us = 0
        self.is_connected = False

    def connect(self, now_us: int) -> Statuses:
        """Open the coverage of all symbols at `now_us`."""
        self.is_connected = True
        self._refused.clear()
        self._connected_us = self._heard_us = now_us
        self._told_to_us = dict.fromkeys(self._symbols, now_us)
        return tuple(FeedStatus(symbol, FeedState.CONNECTED, now_us, now_us) for symbol in self._symbols)

    def hear(self, now_us: int) -> None:
        """Note that a message came in."""
        self._heard_us = now_us

    def is_due(self, now_us: int, every_us: int) -> bool:
        """Tell whether `every_us` passed since all symbols were last spoken of."""
        return bool(self._told_to_us) and now_us - min(self._told_to_us.values()) >= every_us

    def vouch(self, now_us: int) -> Statuses:
        """Tell that the feed was alive since it was last told, as far as there is proof of it."""
        if not self.is_connected:
            return ()
        proven_us = now_us if now_us - self._heard_us <= self._quiet_us else self._heard_us
        alive = [symbol for symbol in self._symbols if symbol not in self._refused]
        statuses = list(self._tell(alive, FeedState.ALIVE, proven_us, ""))
        for symbol, reason in self._refused.items():
            statuses += self._tell([symbol], FeedState.SUBSCRIBE_REFUSED, proven_us, reason)
        return tuple(statuses)

    def refuse(self, now_us: int, reason: str) -> tuple[str | None, Statuses]:
        """Take one refusal for the last symbol that isn't refused yet; return the symbol and what to tell.

        Finnhub doesn't name the symbol. As it accepts the first ones and refuses the rest, counting from the end finds
        the right set, however late the refusals come in.
        """
        for symbol in reversed(self._symbols):
            if symbol not in self._refused:
                self._refused[symbol] = reason
                self._told_to_us[symbol] = self._connected_us
                return symbol, tuple(self._tell([symbol], FeedState.SUBSCRIBE_REFUSED, now_us, reason))
        return None, ()

    def drop(self, now_us: int, lost: Iterable[LostPrint]) -> Statuses:
        """Tell that prints are lost of the message that came now, before it is heard.

        They are lost since the message before it, and at their own time. One that names no symbol of ours could have
        been of any.
        """
        if not self.is_connected:
            return ()
        arrival = (self._heard_us, now_us + US_PER_MS)  # a print's time stands for its whole millisecond
        spans: dict[str, tuple[int, int]] = {}
        for each in lost:
            printed_us = now_us if each.ts_ms is None else each.ts_ms * US_PER_MS
            if abs(printed_us - now_us) > BELIEVED_US:
                printed_us = now_us
            for symbol in (each.symbol,) if each.symbol in self._symbols else self._symbols:
                from_us, to_us = spans.get(symbol, arrival)
                spans[symbol] = (min(from_us, printed_us), max(to_us, printed_us + US_PER_MS))
        return tuple(
            FeedStatus(symbol, FeedState.DROPPED, *span, "undecodable print") for symbol, span in spans.items()
        )

    def doubt(self, now_us: int, reason: str, state: FeedState = FeedState.SILENT) -> tuple[Statuses, Statuses]:
        """Vouch for the time up to the last message, declare it lost since, and end the connection."""
        if not self.is_connected:
            return (), ()
        alive = self.vouch(self._heard_us)
        self.lose()
        self._told_to_us = dict.fromkeys(self._told_to_us, self._heard_us)
        return alive, tuple(self._tell(self._symbols, state, now_us, reason))

    def lose(self) -> None:
        """Note that the connection has ended."""
        self.is_connected = False

    def miss(self, now_us: int, reason: str) -> Statuses:
        """Tell that there was no connection since the last interval that was told."""
        return tuple(self._tell(self._symbols, FeedState.DISCONNECTED, now_us, reason))

    def _tell(self, symbols: Iterable[str], state: FeedState, to_us: int, reason: str) -> Iterable[FeedStatus]:
        for symbol in symbols:
            from_us = self._told_to_us.get(symbol, to_us)
            if to_us > from_us:
                self._told_to_us[symbol] = to_us
                yield FeedStatus(symbol, state, from_us, to_us, reason)
