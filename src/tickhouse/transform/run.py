"""Run dbt: the one way in which anything here calls it."""

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tickhouse.clock import Clock
from tickhouse.errors import TransformFailed
from tickhouse.log import get_logger
from tickhouse.warehouse import Build, Warehouse

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

__all__ = ["PROJECT", "NodeResult", "SourceFreshness", "TransformResult", "freshness", "run_dbt", "transform"]

log = get_logger("transform.run")

PROJECT: Final = Path(__file__).parent
# How each table tells which of its rows are of a build.
NEW_ROWS: Final[Mapping[str, str]] = {
    "silver_trades": "load_id > {since}",
    "silver_rejects": "load_id > {since}",
    "silver_bars_1m": "build_id = {build}",
    "candlesticks": "build_id = {build}",
    "feed_gaps": "build_id = {build}",
}
DBT_LOGGERS: Final = ("stdout_log", "file_log")  # their handlers stay open after dbt has ended
FAILED: Final = frozenset({"error", "fail", "runtime error"})
_dbt_is_one_per_process = threading.Lock()


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How one model or test went; `rows` is how many rows of a table this build wrote, where that can be told."""

    name: str
    kind: str
    status: str
    seconds: float
    rows: int | None
    message: str


@dataclass(frozen=True, slots=True)
class TransformResult:
    """What a transform did; `build_id` is None where there was nothing to do."""

    build_id: int | None
    is_full: bool
    nodes: tuple[NodeResult, ...]

    @property
    def warnings(self) -> tuple[NodeResult, ...]:
        """Return the tests that warned, such as that of unknown condition codes."""
        return tuple(node for node in self.nodes if node.status == "warn")


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """How old the newest row of a source is; `status` is pass, warn, error or runtime error."""

    name: str
    status: str
    age_s: float | None


def transform(
    warehouse: Warehouse,
    *,
    state_dir: Path,
    clock: Clock,
    full: bool = False,
    tests: Literal["new", "all"] = "new",
) -> TransformResult:
    """Bring bronze, silver and gold up to what is loaded; call it under the warehouse's lock.

    Everything is built anew where `full` is set, the condition table, the calendar or the models changed, or the last
    build that did so was cut off. Raises TransformFailed with the models and tests that failed: the next call then
    takes in the same loads again.
    """
    last = warehouse.last_build()
    fingerprint = _fingerprint(warehouse)
    is_full = full or last is None or last.fingerprint != fingerprint or warehouse.has_unfinished_full_build()
    through = warehouse.max_load_id()
    if last is not None and not is_full and through == last.through_load_id:
        return TransformResult(None, is_full=False, nodes=())
    since = 0 if is_full or last is None else last.through_load_id
    build_id = 1 if last is None else last.build_id + 1
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    arguments += [] if tests == "all" else ["--exclude", "tag:full"]
    if is_full:
        arguments += ["--full-refresh"]
        warehouse.begin_full_build(build_id, fingerprint, clock.now_us())
    results = _nodes(run_dbt(warehouse, arguments, state_dir=state_dir))
    warehouse.record_build(Build(build_id, since, through, is_full, fingerprint, clock.now_us()))
    nodes = tuple(_with_rows(warehouse, results, since, build_id))
    rows = {node.name: node.rows for node in nodes if node.rows is not None}
    log.info("transform.built", build_id=build_id, is_full=is_full, since=since, through=through, **rows)
    for node in nodes:
        if node.status == "warn":
            log.warning("transform.warned", test=node.name, said=node.message)
    return TransformResult(build_id, is_full, nodes)


def freshness(warehouse: Warehouse, *, state_dir: Path) -> list[SourceFreshness]:
    """Say how old the newest loaded rows are; `dbt build` doesn't look at that."""
    output = (state_dir / "dbt" / "sources.json").absolute()
    result = run_dbt(
        warehouse, ["source", "freshness", "--output", str(output)], state_dir=state_dir, may_fail=frozenset({"error"})
    )
    return [SourceFreshness(one.node.name, str(one.status), getattr(one, "age", None)) for one in _executed(result)]


def run_dbt(
    warehouse: Warehouse, arguments: Sequence[str], *, state_dir: Path, may_fail: frozenset[str] = frozenset()
) -> "dbtRunnerResult":
    """Run one dbt command on the project; its files and its log go under `state_dir`.

    The warehouse lets go of its connection before, so that dbt's is the only one; dbt lets go of its own by itself.
    Raises TransformFailed with what failed, except nodes that ended with a status in `may_fail`.
    """
    work = (state_dir / "dbt").absolute()
    work.mkdir(parents=True, exist_ok=True)
    _write_profile(work / "profiles.yml", warehouse.dbt_target())
    warehouse.disconnect()
    with _dbt_is_one_per_process:
        result = _invoke([*arguments, *_options(work)])
    failed = [node for node in _failed(result) if node[1] not in may_fail]
    if failed or (result.exception is not None):
        said = [f"{name}: {message}" for name, _, message in failed] or [str(result.exception).strip()]
        message = "dbt failed: " + "; ".join(said) + f" (its log is {work / 'logs' / 'dbt.log'})"
        raise TransformFailed(message)
    return result


def _invoke(arguments: list[str]) -> "dbtRunnerResult":
    # Here because the import takes two seconds, which most commands don't need.
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    try:
        result = dbtRunner().invoke(arguments)
    finally:
        _close_logs()
    if isinstance(result.exception, KeyboardInterrupt | SystemExit):
        raise result.exception
    return result


def _close_logs() -> None:
    from dbt_common.events.event_manager_client import cleanup_event_logger  # noqa: PLC0415  # as above

    cleanup_event_logger()
    for name in DBT_LOGGERS:
        logger = logging.getLogger(name)
        for handler in tuple(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


def _options(work: Path) -> list[str]:
    paths = {"project-dir": PROJECT, "profiles-dir": work, "target-path": work / "target", "log-path": work / "logs"}
    flags = [
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
        "--no-use-colors",
        "--quiet",
        "--log-level",
        "none",
    ]
    return (
        [part for name, path in paths.items() for part in (f"--{name}", str(path))]
        + flags
        + ["--log-level-file", "info"]
    )


def _write_profile(path: Path, target: Mapping[str, Any]) -> None:
    content = json.dumps({"tickhouse": {"target": "tickhouse", "outputs": {"tickhouse": target}}})  # JSON is YAML
    path.touch(mode=0o600)
    if path.read_text(encoding="utf-8") != content:
        path.write_text(content, encoding="utf-8")


def _executed(result: "dbtRunnerResult") -> Sequence[Any]:
    return tuple(getattr(result.result, "results", ()))


def _failed(result: "dbtRunnerResult") -> list[tuple[str, str, str]]:
    """Return name, status and message of what failed."""
    return [
        (one.node.name, str(one.status), " ".join(str(one.message).split()))
        for one in _executed(result)
        if str(one.status) in FAILED
    ]


def _nodes(result: "dbtRunnerResult") -> list[NodeResult]:
    return [
        NodeResult(
            name=one.node.name,
            kind=str(one.node.resource_type),
            status=str(one.status),
            seconds=one.execution_time,
            rows=None,
            message=str(one.message or ""),
        )
        for one in _executed(result)
    ]


def _with_rows(warehouse: Warehouse, nodes: Sequence[NodeResult], since: int, build_id: int) -> Iterator[NodeResult]:
    for node in nodes:
        condition = NEW_ROWS.get(node.name)
        if condition is None:
            yield node
            continue
        schema = "silver" if node.name.startswith("silver_") else "gold"
        new = condition.format(since=since, build=build_id)
        counted = warehouse.row(f"select count(*) as n from {schema}.{node.name} where {new}")  # noqa: S608  # our own names
        yield replace(node, rows=0 if counted is None else int(counted[0]))


def _fingerprint(warehouse: Warehouse) -> str:
    """Return a digest of all that decides about rows besides the events: conditions, calendar, models."""
    conditions = warehouse.query(
        """
        select code, session, updates_last, updates_high_low, updates_volume
        from raw.trade_conditions
        order by code, session
        """
    )
    calendar = warehouse.row("select min(calendar) as name from raw.sessions where applies_to = 'listed'")
    digest = hashlib.sha256(json.dumps([conditions.to_pylist(), calendar]).encode())
    sources = (path for folder in ("models", "macros") for path in (PROJECT / folder).rglob("*"))
    for path in sorted([PROJECT / "dbt_project.yml", *sources]):
        if path.suffix in {".sql", ".yml"}:
            digest.update(f"\n{path.relative_to(PROJECT).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
