"""Keep the raw zone: what Kafka held, verbatim, exactly once."""

from tickhouse.lake.layout import GOLD_MANIFEST, RawKey, gold_key, parse_raw_key, parse_raw_prefix, raw_key, raw_prefix
from tickhouse.lake.partition import SinkStats
from tickhouse.lake.partition_buffer import SinkConfig
from tickhouse.lake.records import RAW_SCHEMA, Header, ObjectFooter, RawRecord, encode_object, read_footer
from tickhouse.lake.sink import Sink
from tickhouse.lake.store import S3Credentials, Store, StoredObject, open_store
from tickhouse.lake.verify import PartitionChain, VerifyReport, verify

__all__ = [
    "GOLD_MANIFEST",
    "RAW_SCHEMA",
    "Header",
    "ObjectFooter",
    "PartitionChain",
    "RawKey",
    "RawRecord",
    "S3Credentials",
    "Sink",
    "SinkConfig",
    "SinkStats",
    "Store",
    "StoredObject",
    "VerifyReport",
    "encode_object",
    "gold_key",
    "open_store",
    "parse_raw_key",
    "parse_raw_prefix",
    "raw_key",
    "raw_prefix",
    "read_footer",
    "verify",
]
