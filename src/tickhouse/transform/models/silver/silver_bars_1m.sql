{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['symbol', 'session', 'minute_ms'],
    on_schema_change='fail',
) }}
{% set window = model_window() %}

with

counted as (

    select * from {{ ref('silver_trades') }}
    where updates_last or updates_high_low or updates_volume

),
{% if is_incremental() %}
touched as (

    select distinct
        symbol,
        session,
        minute_ms
    from counted
    where {{ is_new(window) }}

),

bounds as (

    -- without them this would read all of history
    select
        min(minute_ms) as from_ms,
        max(minute_ms) + 60000 as to_ms
    from touched

),

prints as (

    select counted.*
    from counted
    inner join touched
        on
            counted.symbol = touched.symbol
            and counted.session = touched.session
            and counted.minute_ms = touched.minute_ms
    where
        counted.ts_ms >= (select bounds.from_ms from bounds)
        and counted.ts_ms < (select bounds.to_ms from bounds)

),
{% else %}
prints as (

    select * from counted

),
{% endif %}
in_bar_order as (

    select
        *,
        row_number() over (
            partition by symbol, session, minute_ms
            order by ts_ms, kafka_partition, kafka_offset
        ) as place
    from prints

),

bars as (

    select
        symbol,
        session,
        min_by(price, case when updates_last then place end) as open,
        max(case when updates_high_low then price end) as high,
        min(case when updates_high_low then price end) as low,
        max_by(price, case when updates_last then place end) as close,
        cast(sum(case when updates_volume then volume else 0 end) as decimal(38, 6)) as volume,
        cast(
            sum(case when updates_volume and updates_high_low then volume else 0 end) as decimal(38, 6)
        ) as priced_volume,
        cast(
            sum(
                case when updates_volume and updates_high_low then cast(price as decimal(20, 6)) * volume else 0 end
            ) as decimal(38, 12)
        ) as notional,
        count(case when updates_volume then 1 end) as trades,
        cast({{ window.build_id }} as bigint) as build_id,
        minute_ms,
        trading_date
    from in_bar_order
    group by symbol, session, minute_ms, trading_date

)

select * from bars
