"""Wire the rooms together: which service gets what, in which order they start and stop."""

from tickhouse.stack.lake import open_lake

__all__ = ["open_lake"]
