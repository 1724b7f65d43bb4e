{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}
{% set window = model_window() %}
{% set late_after_ms = 5000 %}

with

clocks as (

    select * from {{ ref('silver_symbol_clocks') }}

),

conditions as (

    select * from {{ ref('bronze_trade_conditions') }}

),

sessions as (

    select * from {{ ref('bronze_sessions') }}

),

new_prints as (

    select * from {{ ref('bronze_trades') }}
    where
        reject_reason is null
        and {{ is_new(window) }}

),

in_arrival_order as (

    select
        new_prints.*,
        case when new_prints.symbol like '%:%' then 'round_the_clock' else 'listed' end as applies_to,
        row_number() over (
            partition by
                new_prints.symbol,
                new_prints.ts_ms,
                new_prints.price,
                new_prints.volume,
                new_prints.conditions,
                new_prints.exact_digits,
                new_prints.occurrence
            order by new_prints.load_id, new_prints.kafka_partition, new_prints.kafka_offset
        ) as repetition,
        greatest(
            clocks.latest_before_ms,
            coalesce(
                max(new_prints.ts_ms) over (
                    partition by new_prints.symbol, new_prints.kafka_partition
                    order by new_prints.kafka_offset
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as latest_before_ms
    from new_prints
    inner join clocks
        on
            new_prints.symbol = clocks.symbol
            and new_prints.kafka_partition = clocks.kafka_partition

),

first_arrivals as (

    select * from in_arrival_order
    where repetition = 1

),
{% if is_incremental() %}
arrival_times as (

    select distinct
        symbol,
        ts_ms
    from first_arrivals

),

known as (

    -- an inner join: DuckDB reads only what lies within the range of these times
    select known_before.*
    from {{ this }} as known_before
    inner join arrival_times
        on
            known_before.symbol = arrival_times.symbol
            and known_before.ts_ms = arrival_times.ts_ms

),

prints as (

    select first_arrivals.*
    from first_arrivals
    left join known
        on
            first_arrivals.symbol = known.symbol
            and first_arrivals.ts_ms = known.ts_ms
            and first_arrivals.price = known.price
            and first_arrivals.volume = known.volume
            and first_arrivals.conditions = known.conditions
            and first_arrivals.exact_digits = known.exact_digits
            and first_arrivals.occurrence = known.occurrence
    where known.symbol is null

),
{% else %}
prints as (

    select * from first_arrivals

),
{% endif %}
session_dates as (

    -- a session may pass midnight UTC; by date, each print meets only a handful of sessions
    select
        *,
        cast(starts_at as date) as utc_date
    from sessions

    union

    select
        *,
        cast(ends_at as date) as utc_date
    from sessions

),

in_sessions as (

    select
        prints.*,
        sessions.trading_date,
        coalesce(sessions.session, 'closed') as session,
        case
            when sessions.session = 'regular' then 'regular'
            when sessions.session in ('pre', 'post') then 'extended'
        end as session_half,
        prints.ts_ms - (prints.ts_ms - sessions.starts_ms) % 60000 as minute_ms,
        sessions.ends_ms as session_ends_ms
    from prints
    left join session_dates as sessions
        on
            prints.applies_to = sessions.applies_to
            and cast({{ ms_to_timestamp('prints.ts_ms') }} as date) = sessions.utc_date
            and prints.ts_ms >= sessions.starts_ms
            and prints.ts_ms < sessions.ends_ms

),

code_sets as (

    select distinct conditions from prints
    where conditions <> ''

),

codes as (

    {{ split_to_rows('code_sets', 'conditions', 'code') }}

),

known_codes as (

    select distinct code from conditions

),

unknown_codes as (

    select
        codes.conditions,
        max(case when known_codes.code is null then 1 else 0 end) = 1 as has_unknown_code
    from codes
    left join known_codes on codes.code = known_codes.code
    group by codes.conditions

),

session_halves as (

    select 'regular' as session_half
    union all
    select 'extended' as session_half

),

rules as (

    -- a code that the table doesn't have adds volume only
    select
        codes.conditions,
        session_halves.session_half,
        min(case when conditions.updates_last then 1 else 0 end) = 1 as updates_last,
        min(case when conditions.updates_high_low then 1 else 0 end) = 1 as updates_high_low,
        min(case when coalesce(conditions.updates_volume, true) then 1 else 0 end) = 1 as updates_volume
    from codes
    cross join session_halves
    left join conditions
        on
            codes.code = conditions.code
            and conditions.session in ('any', session_halves.session_half)
    group by codes.conditions, session_halves.session_half

),

flagged as (

    select
        in_sessions.*,
        coalesce(unknown_codes.has_unknown_code, false) as has_unknown_code,
        in_sessions.session <> 'closed' and in_sessions.volume > 0 as may_update,
        coalesce(rules.updates_last, true) as updates_last,
        coalesce(rules.updates_high_low, true) as updates_high_low,
        coalesce(rules.updates_volume, true) as updates_volume
    from in_sessions
    left join rules
        on
            in_sessions.conditions = rules.conditions
            and in_sessions.session_half = rules.session_half
    left join unknown_codes on in_sessions.conditions = unknown_codes.conditions

)

select
    symbol,
    occurrence,
    exact_digits,
    kafka_partition,
    kafka_offset,
    load_id,
    conditions,
    session,
    price,
    volume,
    ts_ms,
    minute_ms,
    latest_before_ms,
    received_us,
    has_unknown_code,
    may_update and updates_last as updates_last,
    may_update and updates_high_low as updates_high_low,
    may_update and updates_volume as updates_volume,
    may_update
    and (updates_last or updates_high_low or updates_volume)
    and latest_before_ms >= least(minute_ms + 60000, session_ends_ms) + {{ late_after_ms }} as is_late,
    trading_date,
    {{ ms_to_timestamp('ts_ms') }} as traded_at
from flagged
