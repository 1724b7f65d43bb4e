"""Run Kafka, shape its topics, and carry events to and from it."""

from tickhouse.kafka.broker import BrokerHandle, BrokerStatus, broker_status, start_broker, stop_broker
from tickhouse.kafka.client_log import client_logger
from tickhouse.kafka.codec import BadEvent, Codec, Record, decode_event
from tickhouse.kafka.jars import fetch_jars
from tickhouse.kafka.offsets import SINK_GROUP, begin_offsets, committed, end_offsets, lag
from tickhouse.kafka.producer import Producer, ProducerConfig
from tickhouse.kafka.service import ProducerService, ServiceConfig
from tickhouse.kafka.topics import DLQ_TOPIC, TopicSpec, ensure_topics

__all__ = [
    "DLQ_TOPIC",
    "SINK_GROUP",
    "BadEvent",
    "BrokerHandle",
    "BrokerStatus",
    "Codec",
    "Producer",
    "ProducerConfig",
    "ProducerService",
    "Record",
    "ServiceConfig",
    "TopicSpec",
    "begin_offsets",
    "broker_status",
    "client_logger",
    "committed",
    "decode_event",
    "end_offsets",
    "ensure_topics",
    "fetch_jars",
    "lag",
    "start_broker",
    "stop_broker",
]
