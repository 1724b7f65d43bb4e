{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['symbol', 'kafka_partition'],
    on_schema_change='fail',
) }}
{% set window = model_window() %}

with

new_prints as (

    select
        symbol,
        kafka_partition,
        max(ts_ms) as latest_ms
    from {{ ref('bronze_trades') }}
    where
        reject_reason is null
        and {{ is_new(window) }}
    group by symbol, kafka_partition

),
{% if is_incremental() %}
clocks as (

    select
        symbol,
        kafka_partition,
        -- a failed build comes again with the same window: what it wrote itself isn't from before
        case
            when since_load_id = {{ window.since_load_id }} then latest_before_ms
            else latest_ms
        end as latest_before_ms
    from {{ this }}

),
{% else %}
clocks as (

    select
        symbol,
        kafka_partition,
        cast(0 as bigint) as latest_before_ms
    from new_prints

),
{% endif %}
moved_on as (

    select
        new_prints.symbol,
        new_prints.kafka_partition,
        cast({{ window.since_load_id }} as bigint) as since_load_id,
        coalesce(clocks.latest_before_ms, 0) as latest_before_ms,
        greatest(coalesce(clocks.latest_before_ms, 0), new_prints.latest_ms) as latest_ms
    from new_prints
    left join clocks
        on
            new_prints.symbol = clocks.symbol
            and new_prints.kafka_partition = clocks.kafka_partition

)

select * from moved_on
