{% set earliest_ms = 946684800000 %}  {# 2000-01-01 #}
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
        event is not null as is_json,
        {{ json_text('event', 'type') }} as event_type,
        {{ json_text('event', 'symbol') }} as symbol,
        {{ json_codes('event', 'conditions') }} as conditions,
        {{ json_number('event', 'price', 'value') }} as price_text,
        {{ json_number('event', 'volume', 'value') }} as volume_text,
        {{ json_number('event', 'ts_ms') }} as ts_text,
        {{ json_number('event', 'received_us') }} as received_text,
        {{ json_number('event', 'position') }} as position_text,
        {{ json_number('event', 'occurrence') }} as occurrence_text
    from parsed

),

typed as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        value,
        is_json,
        event_type,
        symbol,
        conditions,
        -- identity needs every digit that was sent, also those past the six that prices and volumes keep
        case
            when
                price_text like '%._______%'
                or volume_text like '%._______%'
                or lower(price_text || volume_text) like '%e%'
                then price_text || ' ' || volume_text
            else ''
        end as exact_digits,
        try_cast(price_text as decimal(18, 6)) as price,
        try_cast(volume_text as decimal(18, 6)) as volume,
        case when ts_text not like '%.%' then try_cast(ts_text as bigint) end as ts_ms,
        case when received_text not like '%.%' then try_cast(received_text as bigint) end as received_us,
        case when position_text not like '%.%' then try_cast(position_text as integer) end as frame_position,
        case when occurrence_text not like '%.%' then try_cast(occurrence_text as integer) end as occurrence
    from texts
    where coalesce(event_type, '') <> 'status'

),

judged as (

    select
        kafka_partition,
        kafka_offset,
        load_id,
        event_type,
        symbol,
        conditions,
        exact_digits,
        value,
        case
            when value is null then 'not UTF-8'
            when not is_json then 'not JSON'
            when coalesce(event_type, '') <> 'trade' then 'unknown event type'
            when coalesce(symbol, '') = '' then 'symbol is missing or no text'
            when price is null then 'price is missing, no number or too large'
            when price <= 0 then 'price is not above zero'
            when volume is null then 'volume is missing, no number or too large'
            when volume < 0 then 'volume is below zero'
            when conditions is null then 'conditions are no list of codes'
            when received_us is null then 'received_us is missing or no integer'
            when ts_ms is null then 'ts_ms is missing or no integer'
            when ts_ms < {{ earliest_ms }} then 'ts_ms is before the year 2000'
            when ts_ms * 1000.0 > received_us + {{ day_us }} then 'ts_ms is over a day after it was received'
            when coalesce(frame_position, -1) < 0 then 'position is missing or no count'
            when coalesce(occurrence, -1) < 0 then 'occurrence is missing or no count'
        end as reject_reason,
        price,
        volume,
        ts_ms,
        received_us,
        frame_position,
        occurrence
    from typed

)

select * from judged
