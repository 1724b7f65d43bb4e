"""Walk the folders of a `file://` store in key order, past what a marker says is known.

obstore's own listing of a folder is unsorted and looks at everything before it applies a marker.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["children", "clean_temporary", "walk"]

TEMPORARY = re.compile(r"#\d+$")  # obstore writes an object to `name#1`, then links or renames it


def walk(root: Path, folder: str, after: str) -> Iterator[tuple[str, int]]:
    """Yield (key, size) of the files under `folder`, sorted by key, from the first one greater than `after`."""
    for key, entry in _entries(root, folder):
        if key.endswith("/"):
            if key > after or after.startswith(key):
                yield from walk(root, key.rstrip("/"), after)
        elif key > after and not TEMPORARY.search(key):
            try:
                yield key, entry.stat().st_size
            except FileNotFoundError:  # deleted since the folder was read
                continue


def children(root: Path, folder: str) -> tuple[list[str], list[str]]:
    """Return the keys of the folders and of the files directly under `folder`."""
    keys = [key for key, _ in _entries(root, folder)]
    files = [key for key in keys if not key.endswith("/") and not TEMPORARY.search(key)]
    return [key.rstrip("/") for key in keys if key.endswith("/")], files


def clean_temporary(root: Path, folder: str, after: str, modified_before_s: float) -> int:
    """Delete temporary files last modified before an epoch time, in seconds; return how many."""
    deleted = 0
    for key, entry in _entries(root, folder):
        if key.endswith("/"):
            if key > after or after.startswith(key):
                deleted += clean_temporary(root, key.rstrip("/"), after, modified_before_s)
        elif TEMPORARY.search(key):
            try:
                if entry.stat().st_mtime < modified_before_s:
                    (root / key).unlink()
                    deleted += 1
            except FileNotFoundError:  # its writer lives, and has finished
                continue
    return deleted


def _entries(root: Path, folder: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Return (key, entry) in key order; a folder's key ends with a slash, as it does inside the keys under it."""
    start = f"{folder}/" if folder else ""
    try:
        with os.scandir(root / folder) as found:
            entries = [(f"{start}{entry.name}{'/' if entry.is_dir() else ''}", entry) for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(entries, key=lambda pair: pair[0])
