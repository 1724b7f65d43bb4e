with

sessions as (

    select * from {{ source('raw', 'sessions') }}

),

in_milliseconds as (

    select
        applies_to,
        calendar,
        session,
        trading_date,
        {{ timestamp_to_ms('starts_at') }} as starts_ms,
        {{ timestamp_to_ms('ends_at') }} as ends_ms,
        starts_at,
        ends_at
    from sessions

),

with_whole_day as (

    select
        applies_to,
        calendar,
        session,
        trading_date,
        starts_ms,
        ends_ms,
        min(starts_ms) over (partition by applies_to, trading_date) as day_starts_ms,
        max(ends_ms) over (partition by applies_to, trading_date) as day_ends_ms,
        starts_at,
        ends_at
    from in_milliseconds

)

select * from with_whole_day
