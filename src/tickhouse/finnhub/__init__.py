"""Speak Finnhub's protocol, as a client and as a server."""

from tickhouse.finnhub.faults import FaultPlan
from tickhouse.finnhub.leader import hold_key
from tickhouse.finnhub.recording import Recording
from tickhouse.finnhub.simulator import Simulator, SimulatorConfig
from tickhouse.finnhub.source import FrameSource, TimedFrame
from tickhouse.finnhub.stream import FeedConfig, FeedStream
from tickhouse.finnhub.synthetic import SyntheticMarket
from tickhouse.finnhub.synthetic_listing import Listing, read_listings
from tickhouse.finnhub.wire import FeedItem, Message, StatusBatch, TradeFrame, Undecodable, WireTrade, decode_message

__all__ = [
    "FaultPlan",
    "FeedConfig",
    "FeedItem",
    "FeedStream",
    "FrameSource",
    "Listing",
    "Message",
    "Recording",
    "Simulator",
    "SimulatorConfig",
    "StatusBatch",
    "SyntheticMarket",
    "TimedFrame",
    "TradeFrame",
    "Undecodable",
    "WireTrade",
    "decode_message",
    "hold_key",
    "read_listings",
]
