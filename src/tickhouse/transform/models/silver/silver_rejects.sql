{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['kafka_partition', 'kafka_offset'],
    on_schema_change='fail',
) }}
{% set window = model_window() %}

with

new_trades as (

    select * from {{ ref('bronze_trades') }}
    where {{ is_new(window) }}

),

new_feed_status as (

    select * from {{ ref('bronze_feed_status') }}
    where {{ is_new(window) }}

),

kept_trades as (

    select
        kafka_partition,
        kafka_offset
    from {{ ref('silver_trades') }}
    where {{ is_new(window) }}

),

bad_values as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        event_type,
        symbol,
        reject_reason,
        value
    from new_trades
    where reject_reason is not null

    union all

    select
        kafka_partition,
        kafka_offset,
        load_id,
        'status' as event_type,
        symbol,
        reject_reason,
        value
    from new_feed_status
    where reject_reason is not null

),

repeats as (

    select
        new_trades.kafka_partition,
        new_trades.kafka_offset,
        new_trades.load_id,
        new_trades.event_type,
        new_trades.symbol,
        'repeat' as reject_reason,
        new_trades.value
    from new_trades
    left join kept_trades
        on
            new_trades.kafka_partition = kept_trades.kafka_partition
            and new_trades.kafka_offset = kept_trades.kafka_offset
    where
        new_trades.reject_reason is null
        and kept_trades.kafka_offset is null

),

rejects as (

    select * from bad_values
    union all
    select * from repeats

)

select * from rejects
