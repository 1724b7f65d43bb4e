"""One key, one connection on this machine."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from tickhouse.errors import LockBusy
from tickhouse.finnhub import hold_key


def test_a_key_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second holder of the same key is told to wait; another key is free; afterwards the key is free again."""
    key = SecretStr("secret-key-1")
    with hold_key(tmp_path, key) as path:
        with pytest.raises(LockBusy) as busy, hold_key(tmp_path, key):
            pass
        with hold_key(tmp_path, SecretStr("secret-key-2")):
            pass
    assert "secret-key-1" not in f"{path} {busy.value}"
    with hold_key(tmp_path, key):
        pass
