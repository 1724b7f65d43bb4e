"""Keep objects behind a URL: one interface over S3, a local folder and memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore import exceptions as obstore_errors
from obstore.store import LocalStore, MemoryStore, S3Store
from pydantic import SecretStr

from tickhouse.errors import ObjectMissing, SettingInvalid, StoreAway, TerminalError
from tickhouse.lake import folders

if TYPE_CHECKING:
    from obstore.store import S3Config

__all__ = ["S3Credentials", "Store", "StoredObject", "open_store"]

CONNECT_TIMEOUT = timedelta(seconds=5)
REQUEST_TIMEOUT = timedelta(seconds=30)
RETRY_TIMEOUT = timedelta(seconds=20)
Backend = LocalStore | MemoryStore | S3Store


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """How to reach an S3 server; without a key, the machine's own role is used (AWS only)."""

    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    endpoint: str | None = None
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A key and its object's size in bytes."""

    key: str
    size: int


class Store:
    """Read and write whole objects.

    Raises StoreAway where the same call may succeed later, ObjectMissing for a key that isn't there, TerminalError
    where a person has to act. An object becomes visible whole or not at all, on every backend. On `file://` what was
    written survives the death of the process, but isn't synced to the disk: a power cut may take the last seconds.
    """

    def __init__(self, url: str, backend: Backend, root: Path | None = None) -> None:
        self.url = url
        self._backend = backend
        self._root = root

    def put_new(self, key: str, data: bytes) -> bool:
        """Write an object unless its key exists; return whether it was written."""
        with self._writing(), self._errors(key):
            try:
                # one request: a multipart upload isn't conditional
                obstore.put(self._backend, key, data, mode="create", use_multipart=False)
            except (obstore_errors.AlreadyExistsError, obstore_errors.PreconditionError):
                return False
        return True

    def put(self, key: str, data: bytes) -> None:
        """Write or replace a whole object; a reader sees the old one or the new one."""
        with self._writing(), self._errors(key):
            obstore.put(self._backend, key, data, use_multipart=False)

    def get(self, key: str) -> bytes:
        """Return a whole object."""
        with self._errors(key):
            return bytes(obstore.get(self._backend, key).bytes())

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`; fewer where the object ends before, but `start` must lie inside."""
        with self._errors(key):
            return bytes(obstore.get_range(self._backend, key, start=start, length=length))

    def get_tail(self, key: str, length: int) -> bytes:
        """Return the last `length` bytes, or all of a shorter object."""
        with self._errors(key):
            return bytes(obstore.get(self._backend, key, options={"range": {"suffix": length}}).bytes())

    def size(self, key: str) -> int:
        """Return an object's size in bytes."""
        with self._errors(key):
            return obstore.head(self._backend, key)["size"]

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        try:
            self.size(key)
        except ObjectMissing:
            return False
        return True

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a folder in key order, from the first key greater than `after`.

        The cost goes with what lies after `after`: start-after on S3, skipped folders on `file://`.
        """
        folder = prefix.strip("/")
        if self._root is not None:
            with self._errors(folder):
                for key, size in folders.walk(self._root, folder, after):
                    yield StoredObject(key, size)
            return
        with self._errors(folder):
            for page in obstore.list(self._backend, folder or None, offset=after or None):
                for meta in page:
                    yield StoredObject(meta["path"], meta["size"])

    def last_key(self, prefix: str) -> str | None:
        """Return the greatest key under a folder, None where there is none; descends, never lists everything."""
        folder = prefix.strip("/")
        subfolders, keys = self._children(folder)
        ordered = sorted([*(f"{name}/" for name in subfolders), *keys], reverse=True)
        for name in ordered:
            found = self.last_key(name) if name.endswith("/") else name
            if found is not None:
                return found
        return None

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the keys of the folders directly under a folder, in order, without a slash at the end."""
        return tuple(sorted(self._children(prefix.strip("/"))[0]))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is gone already is no error."""
        for key in keys:
            try:
                with self._errors(key):
                    obstore.delete(self._backend, key)
            except ObjectMissing:
                continue

    def clean_temporary(self, prefix: str, after: str, modified_before_s: float) -> int:
        """Delete what killed writers left on `file://`: hidden files in folders past `after`, by modification time."""
        if self._root is None:
            return 0
        with self._errors(prefix):
            return folders.clean_temporary(self._root, prefix.strip("/"), after, modified_before_s)

    def local_path(self, key: str) -> Path | None:
        """Return an object's file; None where the store isn't a folder of this machine."""
        return None if self._root is None else self._root / key

    def _children(self, folder: str) -> tuple[Sequence[str], Sequence[str]]:
        with self._errors(folder):
            if self._root is not None:
                return folders.children(self._root, folder)
            found = obstore.list_with_delimiter(self._backend, folder or None)
            return found["common_prefixes"], [meta["path"] for meta in found["objects"]]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except ObjectMissing as error:  # a key is free to be new, so it is the bucket
            message = f"{self.url} does not exist; `tickhouse init` makes it"
            raise TerminalError(message) from error

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn the errors of obstore and of the file system into ours: the one place that does."""
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(self.url, key) from error
        except (obstore_errors.BaseError, OSError, ValueError) as error:
            self._raise(key, error)

    def _raise(self, key: str, error: Exception) -> NoReturn:
        said = str(error).partition("\n")[0]  # the lines below repeat it as a Rust structure
        refused = isinstance(
            error, (obstore_errors.PermissionDeniedError, obstore_errors.UnauthenticatedError, PermissionError)
        )
        if self._root is not None and (refused or "(os error 13)" in said or "(os error 30)" in said):
            message = f"{self.url} is not writable or readable for this user: {said}"
            raise TerminalError(message) from error
        if refused or "169.254.169.254" in said:  # where the role of an AWS machine is asked for when no key is set
            message = (
                f"{self.url} refused the credentials; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and "
                "AWS_ENDPOINT_URL, and what the key is allowed to do"
            )
            raise TerminalError(message) from None
        if isinstance(error, ValueError):
            message = f"{key!r} can't be the key of an object: {said}"
            raise TerminalError(message) from error
        message = f"{self.url} failed at {key}: {said}"
        raise StoreAway(message) from error


def open_store(url: str, credentials: S3Credentials | None = None) -> Store:
    """Open `s3://bucket/prefix`, `file:///folder` (made where it is missing) or `memory:///`, each time a new one."""
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return Store(url, MemoryStore())
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        root = Path(url2pathname(parts.path))
        root.mkdir(parents=True, exist_ok=True)
        return Store(url, LocalStore(root), root)
    if parts.scheme == "s3" and parts.netloc:
        return Store(url, _s3(parts.netloc, parts.path.strip("/"), credentials or S3Credentials()))
    raise SettingInvalid("TICKHOUSE_LAKE_URL", f"{url!r} is none of s3://bucket/prefix, file:///folder, memory:///")


def _s3(bucket: str, prefix: str, credentials: S3Credentials) -> S3Store:
    key, secret = credentials.access_key_id, credentials.secret_access_key
    if (key is None) != (secret is None):
        missing = "AWS_ACCESS_KEY_ID" if key is None else "AWS_SECRET_ACCESS_KEY"
        raise SettingInvalid(missing, "is not set, but the other half of the pair is")
    config: S3Config = {
        "bucket": bucket,
        "region": credentials.region,
        "virtual_hosted_style_request": credentials.endpoint is None,
    }
    if credentials.endpoint is not None:
        config["endpoint"] = credentials.endpoint
    if key is not None and secret is not None:
        config["access_key_id"] = key.get_secret_value()
        config["secret_access_key"] = secret.get_secret_value()
    return S3Store(
        prefix=prefix or None,
        config=config,
        client_options={"allow_http": True, "connect_timeout": CONNECT_TIMEOUT, "timeout": REQUEST_TIMEOUT},
        retry_config={"max_retries": 2, "retry_timeout": RETRY_TIMEOUT},  # callers retry longer, and say so
    )
