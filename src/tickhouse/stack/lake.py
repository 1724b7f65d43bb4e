"""Open the lake that the settings name."""

from tickhouse.lake import S3Credentials, Store, open_store
from tickhouse.settings import Settings

__all__ = ["open_lake"]


def open_lake(settings: Settings) -> Store:
    """Return the store of raw zone and snapshots."""
    credentials = S3Credentials(
        access_key_id=settings.aws_access_key_id,
        secret_access_key=settings.aws_secret_access_key,
        endpoint=settings.aws_endpoint_url,
        region=settings.aws_region,
    )
    return open_store(settings.lake, credentials)
