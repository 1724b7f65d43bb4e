"""Show what becomes of values that are no trade, and that those that are keep their digits."""

import json
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import pytest

from tests.support.transforming import House, epoch_ms, template, trade_value
from tickhouse.market import Trade

OPENS = epoch_ms("2013-10-07T13:30")
GOOD = Trade("IBM", OPENS, Decimal("182.3"), Decimal(300), ("8", "41"))
SIX = Decimal("0.000001")
TOLD = OPENS * 1_000
OVERFLOWS = str(2**63 - 1)


def told(state: str, from_us: object, to_us: object, received_us: object = TOLD) -> str:
    """Return a feed status as JSON text."""
    return (
        f'{{"type":"status","symbol":"IBM","state":"{state}","from_us":{from_us},"to_us":{to_us},"reason":"",'
        f'"received_us":{received_us}}}'
    )


BAD: list[tuple[str | None, str]] = [
    (None, "no value, or no UTF-8 text"),
    ("", "not JSON"),
    ('{"type":"trade"', "not JSON"),
    ('{"type":"\\ud800"}', "not JSON"),
    ("[1]", "unknown event type"),
    ("null", "not JSON"),
    ('"trade"', "unknown event type"),
    ('{"type":["trade"]}', "unknown event type"),
    (trade_value(GOOD, type='"quote"'), "unknown event type"),
    (trade_value(GOOD, symbol=""), "symbol is missing or no text"),
    (trade_value(GOOD, symbol='""'), "symbol is missing or no text"),
    (trade_value(GOOD, symbol="7"), "symbol is missing or no text"),
    (trade_value(GOOD, price=""), "price is missing or no number"),
    (trade_value(GOOD, price='"182.3"'), "price is missing or no number"),
    (trade_value(GOOD, price="NaN"), "price is missing or no number"),
    (trade_value(GOOD, price="true"), "price is missing or no number"),
    (trade_value(GOOD, price="[1]"), "price is missing or no number"),
    (trade_value(GOOD, price="1000000000000"), "price is 10^12 or more"),
    (trade_value(GOOD, price="1e300"), "price is 10^12 or more"),
    (trade_value(GOOD, price="0"), "price is not above zero"),
    (trade_value(GOOD, price="-1.5"), "price is not above zero"),
    (trade_value(GOOD, price="-0.0000001"), "price is not above zero"),
    (trade_value(GOOD, price="0.0"), "price is not above zero"),
    (trade_value(GOOD, price="1E-7"), "price is below 0.000001"),
    (trade_value(GOOD, price="0.0000004999"), "price is below 0.000001"),
    (trade_value(GOOD, volume="null"), "volume is missing or no number"),
    (trade_value(GOOD, volume="-1"), "volume is below zero"),
    (trade_value(GOOD, volume="-0.0000001"), "volume is below zero"),
    (trade_value(GOOD, volume="0.0000001"), "volume is below 0.000001"),
    (trade_value(GOOD, volume="1e12"), "volume is 10^12 or more"),
    (trade_value(GOOD, price="1000000000", volume="1000000"), "price times volume is 10^15 or more"),
    (trade_value(GOOD, price="999999999999", volume="999999999999"), "price times volume is 10^15 or more"),
    (trade_value(GOOD, conditions='"8"'), "conditions are no list of codes"),
    (trade_value(GOOD, conditions="[8]"), "conditions are no list of codes"),
    (trade_value(GOOD, conditions='["8,41"]'), "conditions are no list of codes"),
    (trade_value(GOOD, conditions='["8",null]'), "conditions are no list of codes"),
    (trade_value(GOOD, ts_ms="1.5"), "ts_ms is missing or no integer"),
    (trade_value(GOOD, ts_ms='"1"'), "ts_ms is missing or no integer"),
    (trade_value(GOOD, ts_ms="99999999999999999999"), "ts_ms is outside 2000 to 2049"),
    (trade_value(GOOD, ts_ms="946684799999"), "ts_ms is outside 2000 to 2049"),
    (trade_value(GOOD, ts_ms="2524608000000", received_us="2524607999999999"), "ts_ms is outside 2000 to 2049"),
    (trade_value(GOOD, ts_ms="9200000000000000", received_us=OVERFLOWS), "received_us is outside 2000 to 2049"),
    (trade_value(GOOD, received_us=OVERFLOWS), "received_us is outside 2000 to 2049"),
    (trade_value(GOOD, received_us="-9223372036854775808"), "received_us is outside 2000 to 2049"),
    (trade_value(GOOD, received_us="946684799999999"), "received_us is outside 2000 to 2049"),
    (trade_value(GOOD, received_us=f"{OPENS - 86_400_001}000"), "ts_ms is over a day after it was received"),
    (trade_value(GOOD, received_us="{}"), "received_us is missing or no integer"),
    (trade_value(GOOD, position="-1"), "position is missing or no count"),
    (trade_value(GOOD, occurrence="0.5"), "occurrence is missing or no count"),
    ('{"type":"status"}', "symbol is missing or no text"),
    ('{"type":"status","symbol":"A","state":"well"}', "unknown state"),
    ('{"type":"status","symbol":"A","state":"alive","from_us":1}', "from_us or to_us is missing or no integer"),
    (told("alive", TOLD + 1, TOLD), "to_us is before from_us"),
    (told("alive", TOLD, TOLD, received_us='"x"'), "received_us is missing or no integer"),
    (told("alive", TOLD, TOLD, received_us=OVERFLOWS), "received_us is outside 2000 to 2049"),
    (told("alive", TOLD, TOLD + 86_400_000_001, received_us=TOLD), "to_us is over a day after it was received"),
    (told("alive", TOLD, OVERFLOWS), "from_us or to_us is outside 2000 to 2049"),
    (told("silent", TOLD, OVERFLOWS), "from_us or to_us is outside 2000 to 2049"),
    (told("dropped", TOLD, OVERFLOWS), "from_us or to_us is outside 2000 to 2049"),
    (told("silent", 0, TOLD), "from_us or to_us is outside 2000 to 2049"),
    (told("connected", TOLD, 2_524_608_000_000_000), "from_us or to_us is outside 2000 to 2049"),
]


def numbers() -> list[Decimal]:
    """Make prices of all sizes up to eighteen digits, and some with more decimals than are kept."""
    rng = Random(20131007)  # noqa: S311  # a seed, so that a failure comes again
    within = [Decimal(rng.randint(1, 10 ** rng.randint(1, 18))).scaleb(-rng.randint(0, 6)) for _ in range(3_000)]
    beyond = [Decimal(rng.randint(10**7, 10**14)).scaleb(-rng.randint(7, 9)) for _ in range(500)]
    halves = [Decimal("0.0000005"), Decimal("1.0000015"), Decimal("1.0000025"), Decimal("64123.123456500000001")]
    edges = [Decimal("999999999999.999999"), Decimal("123456789012.123456"), Decimal("0.1"), Decimal("1E+3")]
    return [price for price in (*within, *beyond, *halves, *edges) if price < 10**12]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Build all values of this module at once."""
    home = tmp_path_factory.mktemp("rejects")
    house = House(template(home / "template.duckdb"), home / "house")
    house.load([*[value for value, _ in BAD], trade_value(GOOD), trade_value(GOOD)])
    digits = list(enumerate(numbers()))
    house.load([trade_value(Trade("DIGITS", OPENS + at, price, Decimal(1))) for at, price in digits], 1)
    house.load([trade_value(Trade("VOLUMES", OPENS + at, Decimal(1), volume)) for at, volume in digits], 4)
    house.load(
        [
            trade_value(Trade("FINE", OPENS, Decimal(price), Decimal(1)))
            for price in ("1.0000001", "1.0000002", "1.0000001")
        ],
        2,
    )
    house.load(['\t{ "price" : 123456789012.123456 ,"type":"trade","symbol":"SPACED","volume":1,' + _rest() + " }"], 3)
    house.load(
        [trade_value(Trade("LARGE", OPENS + at, Decimal(1000), Decimal(999_999_999_999))) for at in range(2_000)], 5
    )
    house.transform()
    return house


def _rest() -> str:
    good = json.loads(trade_value(GOOD))
    return json.dumps({name: good[name] for name in ("ts_ms", "received_us", "position", "occurrence")})[1:-1]


def test_each_bad_value_is_kept_with_its_reason(house: House) -> None:
    """No bad value stops the build or vanishes: each is a row with its offset, its value and why."""
    rejects = house.rows("select * from silver.silver_rejects where kafka_partition = 0 order by kafka_offset")
    made = [(row["value"], row["reject_reason"]) for row in rejects]
    assert made[: len(BAD)] == BAD
    assert [row["kafka_offset"] for row in rejects] == [*range(len(BAD)), len(BAD) + 1]


def test_a_repeat_is_a_reject_and_its_first_arrival_a_trade(house: House) -> None:
    """Of two equal records the first one stands."""
    (kept,) = house.rows("select kafka_offset, conditions from silver.silver_trades where symbol = 'IBM'")
    assert kept == {"kafka_offset": len(BAD), "conditions": "41,8"}
    assert house.rows(
        "select kafka_offset from silver.silver_rejects where reject_reason = 'repeat' and symbol = 'IBM'"
    ) == [{"kafka_offset": len(BAD) + 1}]


def test_prices_keep_their_digits(house: House) -> None:
    """Up to six decimals all digits are kept, however large the number; what is beyond is rounded half up."""
    kept = "select price, volume from silver.silver_trades where symbol = '{}' order by ts_ms"
    expected = [price.quantize(SIX, ROUND_HALF_UP) for price in numbers() if price >= SIX / 2]
    assert [row["price"] for row in house.rows(kept.format("DIGITS"))] == expected
    assert [row["volume"] for row in house.rows(kept.format("VOLUMES"))] == expected


def test_no_number_of_large_prints_is_too_large_for_a_bar(house: House) -> None:
    """The largest prints that are let in add up in the day's bar to the last digit."""
    (day,) = house.rows(
        "select volume, vwap from gold.candlesticks where symbol = 'LARGE' and interval = '1d' and session = 'all'"
    )
    assert day == {"volume": 2_000 * 999_999_999_999.0, "vwap": pytest.approx(1_000.0)}


def test_prints_that_differ_past_the_sixth_decimal_are_two(house: House) -> None:
    """Identity goes by what was sent, not by what is kept of it."""
    rows = house.rows(
        "select kafka_offset, price from silver.silver_trades where symbol = 'FINE' order by kafka_offset"
    )
    assert [(row["kafka_offset"], row["price"]) for row in rows] == [(0, 1), (1, 1)]


def test_white_space_and_order_of_fields_mean_nothing(house: House) -> None:
    """Digits are found wherever JSON allows them to stand."""
    (row,) = house.rows("select price, conditions from silver.silver_trades where symbol = 'SPACED'")
    assert row == {"price": Decimal("123456789012.123456"), "conditions": ""}


def test_every_record_is_accounted_for(house: House) -> None:
    """Records are trades, statuses or rejects, each of them once."""
    count = Counter(
        name
        for name in ("silver_trades", "silver_rejects")
        for _ in house.rows(f"select kafka_offset from silver.{name}")  # noqa: S608  # our own names
    )
    loaded = house.rows("select count(*) as n from raw.stock_events")[0]["n"]
    assert count["silver_trades"] + count["silver_rejects"] == loaded
