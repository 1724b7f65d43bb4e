{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='symbol',
    on_schema_change='fail',
) }}
{% set window = model_window() %}

with

new_feed_status as (

    select * from {{ ref('bronze_feed_status') }}
    where
        reject_reason is null
        and state <> 'rate_limited'  -- of REST calls: no trade is lost by it
        and {{ is_new(window) }}

),

new_intervals as (

    select
        symbol,
        case when state in ('connected', 'alive') then 'coverage' else 'loss' end as kind,
        case when state in ('connected', 'alive') then 'covered' else state end as state,
        case when state in ('connected', 'alive') then '' else reason end as reason,
        from_us,
        to_us
    from new_feed_status

),
{% if is_incremental() %}
touched as (

    select distinct symbol from new_feed_status

),

intervals as (

    select * from new_intervals

    union all

    -- merging is associative: old spans and new intervals give what all intervals would
    select
        spans.symbol,
        spans.kind,
        spans.state,
        spans.reason,
        spans.from_us,
        spans.to_us
    from {{ this }} as spans
    inner join touched on spans.symbol = touched.symbol

),
{% else %}
intervals as (

    select * from new_intervals

),
{% endif %}

in_time_order as (

    select
        symbol,
        from_us,
        to_us,
        max(to_us) over (
            partition by symbol
            order by from_us, to_us
            rows between unbounded preceding and 1 preceding
        ) as covered_to_us
    from intervals
    where kind = 'coverage'

),

numbered as (

    select
        symbol,
        from_us,
        to_us,
        sum(case when from_us <= covered_to_us then 0 else 1 end) over (
            partition by symbol
            order by from_us, to_us
            rows between unbounded preceding and current row
        ) as island
    from in_time_order

),

coverage as (

    select
        symbol,
        'coverage' as kind,
        'covered' as state,
        '' as reason,
        min(from_us) as from_us,
        max(to_us) as to_us
    from numbered
    group by symbol, island

),

losses as (

    select distinct
        symbol,
        kind,
        state,
        reason,
        from_us,
        to_us
    from intervals
    where kind = 'loss'

),

spans as (

    select * from coverage
    union all
    select * from losses

)

select * from spans
