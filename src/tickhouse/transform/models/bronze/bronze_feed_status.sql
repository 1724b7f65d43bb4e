{% set day_us = 86400000000 %}

with

events as (

    select * from {{ source('raw', 'stock_events') }}

),

parsed as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        value,
        {{ parse_event('value') }} as event
    from events

),

texts as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        value,
        {{ json_text('event', 'type') }} as event_type,
        {{ json_text('event', 'symbol') }} as symbol,
        {{ json_text('event', 'state') }} as state,
        {{ json_text('event', 'reason') }} as reason,
        {{ json_number('event', 'from_us') }} as from_text,
        {{ json_number('event', 'to_us') }} as to_text,
        {{ json_number('event', 'received_us') }} as received_text
    from parsed

),

typed as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        value,
        symbol,
        state,
        coalesce(reason, '') as reason,
        {{ is_no_integer('from_text') }} or {{ is_no_integer('to_text') }} as is_without_interval,
        {{ is_no_integer('received_text') }} as received_is_no_integer,
        {{ time_in_us('from_text') }} as from_us,
        {{ time_in_us('to_text') }} as to_us,
        {{ time_in_us('received_text') }} as received_us
    from texts
    where event_type = 'status'

),

judged as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        symbol,
        state,
        reason,
        value,
        case
            when coalesce(symbol, '') = '' then 'symbol is missing or no text'
            when
                coalesce(state, '') not in (
                    'connected', 'alive', 'disconnected', 'silent', 'subscribe_refused', 'rate_limited', 'dropped'
                )
                then 'unknown state'
            when is_without_interval then 'from_us or to_us is missing or no integer'
            when from_us is null or to_us is null then 'from_us or to_us is outside 2000 to 2049'
            when to_us < from_us then 'to_us is before from_us'
            when received_is_no_integer then 'received_us is missing or no integer'
            when received_us is null then 'received_us is outside 2000 to 2049'
            when to_us > received_us + {{ day_us }} then 'to_us is over a day after it was received'
        end as reject_reason,
        from_us,
        to_us,
        received_us
    from typed

)

select * from judged
