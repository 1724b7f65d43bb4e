"""Let one process of this machine hold a key's connection: Finnhub drops both of two."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import SecretStr

from tickhouse.errors import LockBusy

__all__ = ["hold_key"]

DIGITS = 16  # enough to tell keys apart, too few to say anything about one


@contextmanager
def hold_key(cache: Path, key: SecretStr, wait_s: float = 0.0) -> Iterator[Path]:
    """Hold the lock of `key` below `cache`; raise `LockBusy` where another process has it after `wait_s`."""
    digest = hashlib.sha256(key.get_secret_value().encode()).hexdigest()[:DIGITS]
    path = cache / "locks" / f"finnhub-{digest}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise LockBusy(path, wait_s) from None
    try:
        yield path
    finally:
        lock.release()
