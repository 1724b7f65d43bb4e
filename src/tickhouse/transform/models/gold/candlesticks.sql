{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['symbol', 'interval', 'session', 'opened_at'],
    on_schema_change='fail',
) }}
{% set window = model_window() %}
-- depends_on: {{ ref('bronze_feed_status') }}
{% set closes_after_us = 5000000 %}
{% set late_after_ms = 5000 %}

with

sessions as (

    select * from {{ ref('bronze_sessions') }}

),

spans as (

    select * from {{ ref('silver_feed_spans') }}

),

clocks as (

    select * from {{ ref('silver_symbol_clocks') }}

),
{% if is_incremental() %}
new_feed_status as (

    select
        symbol,
        case when symbol like '%:%' then 'round_the_clock' else 'listed' end as applies_to,
        from_us,
        to_us
    from {{ ref('bronze_feed_status') }}
    where
        reject_reason is null
        and {{ is_new(window) }}

),

sessions_of_feed_status as (

    select * from sessions
    where
        day_ends_ms * 1000 >= (select min(new_feed_status.from_us) from new_feed_status)
        and day_starts_ms * 1000 <= (select max(new_feed_status.to_us) from new_feed_status)

),

symbol_clocks as (

    -- up to where each symbol's prints had come before this build
    select
        symbol,
        case when symbol like '%:%' then 'round_the_clock' else 'listed' end as applies_to,
        max(
            case
                when since_load_id = {{ window.since_load_id }} then latest_before_ms
                else latest_ms
            end
        ) as latest_before_ms,
        max(since_load_id) = {{ window.since_load_id }} as has_new_prints
    from clocks
    group by symbol

),

told_symbols as (

    select distinct symbol from new_feed_status

),

active_symbols as (

    select symbol_clocks.*
    from symbol_clocks
    left join told_symbols on symbol_clocks.symbol = told_symbols.symbol
    where
        symbol_clocks.has_new_prints
        or told_symbols.symbol is not null

),

day_dates as (

    select
        applies_to,
        trading_date,
        day_starts_ms,
        day_ends_ms,
        cast(starts_at as date) as utc_date
    from sessions

    union

    select
        applies_to,
        trading_date,
        day_starts_ms,
        day_ends_ms,
        cast(ends_at as date) as utc_date
    from sessions

),

touched_days as (

    select
        symbol,
        trading_date
    from {{ ref('silver_trades') }}
    where
        session <> 'closed'
        and {{ is_new(window) }}

    union

    select
        new_feed_status.symbol,
        sessions_of_feed_status.trading_date
    from new_feed_status
    inner join sessions_of_feed_status
        on
            new_feed_status.applies_to = sessions_of_feed_status.applies_to
            and new_feed_status.to_us >= sessions_of_feed_status.day_starts_ms * 1000
            and new_feed_status.from_us <= sessions_of_feed_status.day_ends_ms * 1000

    union

    -- a bar that isn't closed ends after the latest print, at most 5 s before it: it is of that print's day
    select
        active_symbols.symbol,
        day_dates.trading_date
    from active_symbols
    inner join day_dates
        on
            active_symbols.applies_to = day_dates.applies_to
            and cast({{ ms_to_timestamp('active_symbols.latest_before_ms') }} as date) = day_dates.utc_date
            and active_symbols.latest_before_ms >= day_dates.day_starts_ms
            and active_symbols.latest_before_ms < day_dates.day_ends_ms + {{ late_after_ms }}

),
{% else %}
touched_days as (

    select distinct
        symbol,
        trading_date
    from {{ ref('silver_bars_1m') }}

),
{% endif %}
-- tables that grow are named where they are bounded, and joined inwards: DuckDB then reads the touched days alone
touched_minutes as (

    select minute_bars.*
    from {{ ref('silver_bars_1m') }} as minute_bars
    inner join touched_days
        on
            minute_bars.symbol = touched_days.symbol
            and minute_bars.trading_date = touched_days.trading_date

),

late_prints as (

    select trades.*
    from {{ ref('silver_trades') }} as trades
    inner join touched_days
        on
            trades.symbol = touched_days.symbol
            and trades.trading_date = touched_days.trading_date
    where trades.is_late

),

pieces as (

    select
        symbol,
        trading_date,
        session,
        minute_ms,
        open,
        high,
        low,
        close,
        volume,
        priced_volume,
        notional,
        trades,
        null as latest_before_ms
    from touched_minutes

    union all

    -- a late print is counted apart from its minute: for which bars it comes too late depends on where they end
    select
        symbol,
        trading_date,
        session,
        minute_ms,
        null as open,
        null as high,
        null as low,
        null as close,
        0 as volume,
        0 as priced_volume,
        0 as notional,
        0 as trades,
        latest_before_ms
    from late_prints

),

pieces_in_sessions as (

    select
        pieces.*,
        sessions.starts_ms,
        sessions.ends_ms,
        sessions.day_starts_ms,
        sessions.day_ends_ms
    from pieces
    inner join sessions
        on
            case when pieces.symbol like '%:%' then 'round_the_clock' else 'listed' end = sessions.applies_to
            and pieces.trading_date = sessions.trading_date
            and pieces.session = sessions.session

),

bar_sessions as (

    select
        symbol,
        session,
        trading_date,
        minute_ms,
        open,
        high,
        low,
        close,
        volume,
        priced_volume,
        notional,
        trades,
        latest_before_ms,
        starts_ms,
        ends_ms
    from pieces_in_sessions

    union all

    select
        symbol,
        'all' as session,
        trading_date,
        minute_ms,
        open,
        high,
        low,
        close,
        volume,
        priced_volume,
        notional,
        trades,
        latest_before_ms,
        day_starts_ms as starts_ms,
        day_ends_ms as ends_ms
    from pieces_in_sessions

),

intervals as (

    select
        '1m' as interval,
        60000 as length_ms
    union all
    select
        '5m' as interval,
        300000 as length_ms
    union all
    select
        '15m' as interval,
        900000 as length_ms
    union all
    select
        '1h' as interval,
        3600000 as length_ms
    union all
    select
        '1d' as interval,
        86400000 as length_ms

),

placed as (

    select
        bar_sessions.*,
        intervals.interval,
        bar_sessions.minute_ms - (bar_sessions.minute_ms - bar_sessions.starts_ms) % intervals.length_ms as opened_ms,
        least(
            bar_sessions.minute_ms
            - (bar_sessions.minute_ms - bar_sessions.starts_ms) % intervals.length_ms
            + intervals.length_ms,
            bar_sessions.ends_ms
        ) as bar_ends_ms
    from bar_sessions
    cross join intervals

),

bars as (

    select
        symbol,
        interval,
        session,
        min_by(open, case when open is not null then minute_ms end) as open,
        max(high) as high,
        min(low) as low,
        max_by(close, case when close is not null then minute_ms end) as close,
        sum(volume) as volume,
        sum(priced_volume) as priced_volume,
        sum(notional) as notional,
        sum(trades) as trades,
        count(case when latest_before_ms >= bar_ends_ms + {{ late_after_ms }} then 1 end) as revision,
        opened_ms,
        bar_ends_ms,
        opened_ms * 1000 as opened_us,
        bar_ends_ms * 1000 as ends_us,
        trading_date
    from placed
    group by symbol, interval, session, trading_date, opened_ms, bar_ends_ms
    having min(open) is not null

),

recent_spans as (

    select * from spans
    where to_us >= (select min(bars.opened_us) from bars)

),

covered_bars as (

    select distinct
        bars.symbol,
        bars.interval,
        bars.session,
        bars.opened_us
    from bars
    inner join recent_spans
        on
            bars.symbol = recent_spans.symbol
            and recent_spans.kind = 'coverage'
            and bars.opened_us >= recent_spans.from_us
            and bars.ends_us <= recent_spans.to_us

),

lossy_bars as (

    select distinct
        bars.symbol,
        bars.interval,
        bars.session,
        bars.opened_us
    from bars
    inner join recent_spans
        on
            bars.symbol = recent_spans.symbol
            and recent_spans.kind = 'loss'
            and bars.opened_us < recent_spans.to_us
            and bars.ends_us > recent_spans.from_us

),

covered_until as (

    select
        symbol,
        max(to_us) as to_us
    from spans
    where kind = 'coverage'
    group by symbol

),

latest_prints as (

    select
        symbol,
        max(latest_ms) as latest_ms
    from clocks
    group by symbol

),

watermarks as (

    select
        latest_prints.symbol,
        greatest(latest_prints.latest_ms * 1000, coalesce(covered_until.to_us, 0)) as watermark_us
    from latest_prints
    left join covered_until on latest_prints.symbol = covered_until.symbol

),

candlesticks as (

    select
        bars.symbol,
        bars.interval,
        bars.session,
        cast(bars.open as double) as open,
        cast(bars.high as double) as high,
        cast(bars.low as double) as low,
        cast(bars.close as double) as close,
        cast(bars.volume as double) as volume,
        cast(bars.notional as double) / nullif(cast(bars.priced_volume as double), 0) as vwap,
        cast(bars.trades as bigint) as trades,
        cast(bars.revision as bigint) as revision,
        cast({{ window.build_id }} as bigint) as build_id,
        watermarks.watermark_us >= bars.ends_us + {{ closes_after_us }} as is_closed,
        watermarks.watermark_us >= bars.ends_us + {{ closes_after_us }}
        and covered_bars.symbol is not null
        and lossy_bars.symbol is null as is_complete,
        bars.trading_date,
        {{ ms_to_timestamp('bars.opened_ms') }} as opened_at,
        {{ ms_to_timestamp('bars.bar_ends_ms') }} as ends_at
    from bars
    inner join watermarks on bars.symbol = watermarks.symbol
    left join covered_bars
        on
            bars.symbol = covered_bars.symbol
            and bars.interval = covered_bars.interval
            and bars.session = covered_bars.session
            and bars.opened_us = covered_bars.opened_us
    left join lossy_bars
        on
            bars.symbol = lossy_bars.symbol
            and bars.interval = lossy_bars.interval
            and bars.session = lossy_bars.session
            and bars.opened_us = lossy_bars.opened_us

),
{% if is_incremental() %}
known as (

    select known_before.*
    from {{ this }} as known_before
    inner join touched_days
        on
            known_before.symbol = touched_days.symbol
            and known_before.trading_date = touched_days.trading_date

),

changed as (

    -- a row that stays the same isn't written again, so that its build_id tells readers when it last changed
    select candlesticks.*
    from candlesticks
    left join known
        on
            candlesticks.symbol = known.symbol
            and candlesticks.interval = known.interval
            and candlesticks.session = known.session
            and candlesticks.trading_date = known.trading_date
            and candlesticks.opened_at = known.opened_at
    where
        known.symbol is null
        or candlesticks.ends_at is distinct from known.ends_at
        {% for column in [
            'open', 'high', 'low', 'close', 'volume', 'vwap', 'trades', 'revision', 'is_closed', 'is_complete'
        ] %}
        or candlesticks.{{ column }} is distinct from known.{{ column }}
        {% endfor %}

)
{% else %}
changed as (

    select * from candlesticks

)
{% endif %}
select * from changed
