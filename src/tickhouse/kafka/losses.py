"""Remember what Kafka didn't take, per symbol, until it can be told."""

from collections.abc import Iterator

from tickhouse.kafka.codec import Record, loss_of
from tickhouse.market import FeedState, FeedStatus

__all__ = ["LossBook"]


class LossBook:
    """Join lost records to one interval per symbol."""

    def __init__(self) -> None:
        self._spans: dict[str, tuple[int, int, int]] = {}

    def __bool__(self) -> bool:
        """Tell whether there is anything to tell."""
        return bool(self._spans)

    def note(self, value: bytes) -> None:
        """Note a record's value as lost; one that is no event (a dead letter) concerns no symbol."""
        loss = loss_of(value)
        if loss is None:
            return
        symbol, from_us, to_us = loss
        first_us, last_us, count = self._spans.get(symbol, (from_us, to_us, 0))
        self._spans[symbol] = (min(first_us, from_us), max(last_us, to_us), count + 1)

    def note_all(self, records: list[Record]) -> None:
        """Note records that were never queued."""
        for record in records:
            self.note(record.value)

    def statuses(self) -> Iterator[FeedStatus]:
        """Yield one `dropped` status per symbol; each is forgotten with `settle`."""
        for symbol, (from_us, to_us, count) in list(self._spans.items()):
            yield FeedStatus(symbol, FeedState.DROPPED, from_us, to_us, f"Kafka took no more records: {count} not kept")

    def settle(self, symbol: str) -> None:
        """Forget a symbol's interval, as it was told."""
        del self._spans[symbol]
