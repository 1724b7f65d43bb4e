{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_vanished_gaps() if is_incremental() }}",
) }}
{% set window = model_window() %}

with

silver_gaps as (

    select * from {{ ref('silver_feed_gaps') }}

),

gaps as (

    select
        symbol,
        state,
        reason,
        cast((to_us - from_us) / 1000000.0 as double) as seconds,
        cast({{ window.build_id }} as bigint) as build_id,
        {{ us_to_timestamp('from_us') }} as from_at,
        {{ us_to_timestamp('to_us') }} as to_at
    from silver_gaps

),
{% if is_incremental() %}
changed as (

    select gaps.*
    from gaps
    left join {{ this }} as known
        on
            gaps.symbol = known.symbol
            and gaps.state = known.state
            and gaps.reason = known.reason
            and gaps.from_at = known.from_at
            and gaps.to_at = known.to_at
    where known.symbol is null

)
{% else %}
changed as (

    select * from gaps

)
{% endif %}
select * from changed
