{% set window = build_window() %}
{% set week_ms = 604800000 %}  {# a calendar may begin with a holiday #}

with

calendars as (

    select
        applies_to,
        min(starts_ms) as from_ms,
        max(ends_ms) as to_ms
    from {{ ref('bronze_sessions') }}
    group by applies_to

),

new_trades as (

    select
        *,
        case when symbol like '%:%' then 'round_the_clock' else 'listed' end as applies_to
    from {{ ref('silver_trades') }}
    where
        session = 'closed'
        and {{ is_new(window) }}

)

select
    new_trades.symbol,
    count(*) as prints,
    min(new_trades.traded_at) as first_at,
    max(new_trades.traded_at) as last_at
from new_trades
left join calendars on new_trades.applies_to = calendars.applies_to
where
    calendars.applies_to is null
    or new_trades.ts_ms < calendars.from_ms - {{ week_ms }}
    or new_trades.ts_ms >= calendars.to_ms
group by new_trades.symbol
