{% set day_us = 86400000000 %}
{% set most_notional = 1000000000000000 %}

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
        price_text,
        volume_text,
        {{ is_no_integer('ts_text') }} as ts_is_no_integer,
        {{ is_no_integer('received_text') }} as received_is_no_integer,
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
        {{ time_in_ms('ts_text') }} as ts_ms,
        {{ time_in_us('received_text') }} as received_us,
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
            when value is null then 'no value, or no UTF-8 text'
            when not is_json then 'not JSON'
            when coalesce(event_type, '') <> 'trade' then 'unknown event type'
            when coalesce(symbol, '') = '' then 'symbol is missing or no text'
            when price_text is null then 'price is missing or no number'
            when price_text like '-%' then 'price is not above zero'
            when price = 0 and not {{ has_digits('price_text') }} then 'price is not above zero'
            when price is null then 'price is 10^12 or more'
            when price = 0 then 'price is below 0.000001'
            when volume_text is null then 'volume is missing or no number'
            when volume_text like '-%' and {{ has_digits('volume_text') }} then 'volume is below zero'
            when volume is null then 'volume is 10^12 or more'
            -- it would be taken for a price update without a trade
            when volume = 0 and {{ has_digits('volume_text') }} then 'volume is below 0.000001'
            -- 10^11 such prints in one bar still fit its sums
            when
                cast(price as decimal(20, 6)) * volume >= {{ most_notional }}
                then 'price times volume is 10^15 or more'
            when conditions is null then 'conditions are no list of codes'
            when received_is_no_integer then 'received_us is missing or no integer'
            when received_us is null then 'received_us is outside 2000 to 2049'
            when ts_is_no_integer then 'ts_ms is missing or no integer'
            when ts_ms is null then 'ts_ms is outside 2000 to 2049'
            when ts_ms * 1000 > received_us + {{ day_us }} then 'ts_ms is over a day after it was received'
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
