{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['symbol', 'session', 'minute_ms'],
    on_schema_change='fail',
) }}
{% set window = model_window() %}

with
{% if is_incremental() %}
-- silver_trades stands in two places, each with its bounds: as one CTE it would be read whole
touched as (

    select distinct
        symbol,
        session,
        minute_ms
    from {{ ref('silver_trades') }}
    where
        (updates_last or updates_high_low or updates_volume)
        and {{ is_new(window) }}

),

prints as (

    select trades.*
    from {{ ref('silver_trades') }} as trades
    inner join touched
        on
            trades.symbol = touched.symbol
            and trades.session = touched.session
            and trades.minute_ms = touched.minute_ms
    where trades.updates_last or trades.updates_high_low or trades.updates_volume

),
{% else %}
prints as (

    select * from {{ ref('silver_trades') }}
    where updates_last or updates_high_low or updates_volume

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
