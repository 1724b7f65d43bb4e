"""What every store must do, whichever it is."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from tickhouse.errors import ObjectMissing, SettingInvalid, StoreAway, TerminalError
from tickhouse.lake import S3Credentials, Store, StoredObject, open_store

MakeStore = Callable[[], Store]
SECRET = "wJalrXUtnFEMI"  # noqa: S105  # no real one: it must not be found in any message


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store of each kind."""
    urls = {"memory": "memory:///", "file": (tmp_path / "a lake").as_uri()}
    return open_store(urls[request.param])


def test_what_was_put_comes_back(store: Store) -> None:
    """Bytes are kept as they are, whole and in part."""
    data = bytes(range(256)) * 40
    assert store.put_new("raw/t/object", data)
    assert store.get("raw/t/object") == data
    assert store.get_range("raw/t/object", 250, 10) == data[250:260]
    assert store.get_range("raw/t/object", len(data) - 3, 10) == data[-3:]
    assert store.get_tail("raw/t/object", 7) == data[-7:]
    assert store.get_tail("raw/t/object", len(data) * 2) == data
    assert store.size("raw/t/object") == len(data)
    assert store.exists("raw/t/object")


def test_a_name_is_given_once(store: Store) -> None:
    """The second to create an object is told so, and changes nothing."""
    assert store.put_new("raw/t/object", b"first")
    assert not store.put_new("raw/t/object", b"second")
    assert store.get("raw/t/object") == b"first"


def test_one_of_many_racers_creates_an_object(store: Store) -> None:
    """Of sixteen at once, one wins, and the object is its."""
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: store.put_new("race", b"%d" % number), range(16)))
    assert won.count(True) == 1
    assert store.get("race") == b"%d" % won.index(True)


def test_an_object_can_be_replaced(store: Store) -> None:
    """A pointer is replaced as a whole."""
    store.put("gold/manifest.json", b"one, and longer")
    store.put("gold/manifest.json", b"two")
    assert store.get("gold/manifest.json") == b"two"


def test_what_is_not_there_is_missing(store: Store) -> None:
    """Every way to read says which key is missing."""
    reads = (store.get, store.size, lambda key: store.get_range(key, 0, 1), lambda key: store.get_tail(key, 1))
    for read in reads:
        with pytest.raises(ObjectMissing, match="gold/nothing"):
            read("gold/nothing")
    assert not store.exists("gold/nothing")


def test_deleting_is_final_and_repeatable(store: Store) -> None:
    """A missing key among those to delete hinders nothing."""
    for key in ("a", "b", "c"):
        store.put(key, b"")
    store.delete(["a", "nothing", "b"])
    store.delete(["a"])
    assert [found.key for found in store.list("")] == ["c"]


def test_keys_are_listed_in_order_past_a_marker(store: Store) -> None:
    """Order is that of the whole key: `/` sorts after `-`, as it does on S3."""
    keys = ["r/a-b/1", "r/a/1", "r/a/2", "r/a/10", "r/a.b/1", "r/b", "r/b0/x", "ra/1"]
    for key in keys:
        store.put(key, b"12345")
    inside = sorted(key for key in keys if key.startswith("r/"))
    assert list(store.list("r")) == [StoredObject(key, 5) for key in inside]
    assert [found.key for found in store.list("r/")] == inside
    for marker in [*inside, "r/a", "r/a/11", "", "r/zzz"]:
        assert [found.key for found in store.list("r", marker)] == [key for key in inside if key > marker]
    assert list(store.list("nothing/here")) == []


def test_a_folder_is_no_prefix_of_a_name(store: Store) -> None:
    """`raw/stocks` doesn't hold what lies in `raw/stocks-dlq`."""
    store.put("raw/stocks/1", b"")
    store.put("raw/stocks-dlq/1", b"")
    assert [found.key for found in store.list("raw/stocks")] == ["raw/stocks/1"]
    assert store.folders("raw") == ("raw/stocks", "raw/stocks-dlq")
    assert store.folders("nothing") == ()


def test_the_last_key_is_the_greatest(store: Store) -> None:
    """The last key of a folder is found among objects and folders."""
    assert store.last_key("r") is None
    for key in ("r/2025/12/31", "r/2026/01/02", "r/2026/01/10", "s/1"):
        store.put(key, b"")
    assert store.last_key("r") == "r/2026/01/10"
    store.put("r/3", b"")
    assert store.last_key("r/") == "r/3"


def test_a_key_that_escapes_is_refused(store: Store, tmp_path: Path) -> None:
    """No key leads out of the store."""
    with pytest.raises(TerminalError, match="can't be the key"):
        store.put("../outside", b"")
    assert not (tmp_path / "outside").exists()


def test_only_files_have_a_path(store: Store) -> None:
    """A file's path is told where the store is a folder."""
    store.put("a/b", b"here")
    path = store.local_path("a/b")
    assert path is None or path.read_bytes() == b"here"
    assert (path is None) == store.url.startswith("memory")


def test_leftovers_of_killed_writers_are_hidden_and_cleaned_by_age(tmp_path: Path) -> None:
    """A temporary file shows in no listing; an old one is deleted, a young one may be someone's work."""
    store = open_store(tmp_path.as_uri())
    store.put("raw/t/00000/b", b"")
    folder = tmp_path / "raw/t/00000"
    for name, modified_s in (("b#1", 1_000), ("c#2", 3_000)):
        (folder / name).touch()
        os.utime(folder / name, (modified_s, modified_s))
    assert [found.key for found in store.list("raw")] == ["raw/t/00000/b"]
    assert store.last_key("raw") == "raw/t/00000/b"
    assert store.clean_temporary("raw", "raw/u", 2_000) == 0
    assert store.clean_temporary("raw", "", 2_000) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c#2"]
    assert open_store("memory:///").clean_temporary("raw", "", 2_000) == 0


def test_listing_reads_no_folder_before_the_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a listing goes with what is new."""
    store = open_store(tmp_path.as_uri())
    for day in range(1, 29):
        store.put(f"r/2026/01/{day:02d}/x", b"")
    read: list[str] = []
    scandir = os.scandir

    def counted(path: Path) -> Iterator[os.DirEntry[str]]:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert [found.key for found in store.list("r", "r/2026/01/27/x")] == ["r/2026/01/28/x"]
    assert len(read) == 5


def test_an_empty_folder_hides_no_last_key(tmp_path: Path) -> None:
    """Folders that a killed writer left empty are passed over."""
    store = open_store(tmp_path.as_uri())
    store.put("r/1/x", b"")
    (tmp_path / "r/2/3").mkdir(parents=True)
    assert store.last_key("r") == "r/1/x"


def test_a_store_that_does_not_answer_is_away() -> None:
    """No server at the address means trying again, and says no secret."""
    credentials = S3Credentials(SecretStr("key-id"), SecretStr(SECRET), "http://127.0.0.1:1")
    store = open_store("s3://bucket/prefix", credentials)
    with pytest.raises(StoreAway) as caught:
        store.put_new("raw/object", b"")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(credentials)


def test_half_a_pair_of_keys_is_refused() -> None:
    """A key without its secret names the setting that is missing."""
    with pytest.raises(SettingInvalid, match="AWS_SECRET_ACCESS_KEY"):
        open_store("s3://bucket", S3Credentials(access_key_id=SecretStr("key-id")))


@pytest.mark.parametrize("url", ["", "lake", "file:lake", "file://host/lake", "s3://", "ftp://host/lake"])
def test_a_url_that_is_no_store_is_refused(url: str) -> None:
    """What can be written is said."""
    with pytest.raises(SettingInvalid, match="TICKHOUSE_LAKE_URL"):
        open_store(url)


def test_a_folder_that_is_not_ours_needs_a_person(tmp_path: Path) -> None:
    """A refused write is no reason to try again."""
    tmp_path.joinpath("locked").mkdir(mode=0o500)
    store = open_store(tmp_path.joinpath("locked").as_uri())
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    with pytest.raises(TerminalError, match="not writable"):
        store.put("a/b", b"")
