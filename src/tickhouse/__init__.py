"""Record the stock market tick by tick and turn it into candles one can trust."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("tickhouse")
