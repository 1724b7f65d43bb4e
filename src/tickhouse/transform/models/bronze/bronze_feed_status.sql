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
        case when from_text not like '%.%' then try_cast(from_text as bigint) end as from_us,
        case when to_text not like '%.%' then try_cast(to_text as bigint) end as to_us,
        case when received_text not like '%.%' then try_cast(received_text as bigint) end as received_us
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
            when from_us is null or to_us is null then 'from_us or to_us is missing or no integer'
            when from_us < 0 or to_us < from_us then 'to_us is before from_us'
            when received_us is null then 'received_us is missing or no integer'
        end as reject_reason,
        from_us,
        to_us,
        received_us
    from typed

)

select * from judged
