{% set week_ms = 604800000 %}  {# a calendar may begin or end with holidays #}

with

markets as (

    select 'listed' as applies_to
    union all
    select 'round_the_clock' as applies_to

),

calendars as (

    select
        applies_to,
        min(starts_ms) as from_ms,
        max(ends_ms) as to_ms
    from {{ ref('bronze_sessions') }}
    group by applies_to

)

-- bronze lets no other times in: no event can make this fail
select
    markets.applies_to,
    calendars.from_ms,
    calendars.to_ms
from markets
left join calendars on markets.applies_to = calendars.applies_to
where
    calendars.applies_to is null
    or calendars.from_ms > {{ earliest_ms() }} + {{ week_ms }}
    or calendars.to_ms < {{ past_latest_ms() }} - {{ week_ms }}
