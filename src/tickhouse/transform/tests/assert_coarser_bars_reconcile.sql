{% set window = build_window() %}

with

coarser as (

    select * from {{ ref('candlesticks') }}
    where
        interval <> '1m'
        and build_id = {{ window.build_id }}

),

days as (

    select distinct
        symbol,
        trading_date
    from coarser

),

minutes_of_days as (

    select candlesticks.*
    from {{ ref('candlesticks') }} as candlesticks
    inner join days
        on
            candlesticks.symbol = days.symbol
            and candlesticks.trading_date = days.trading_date
    where candlesticks.interval = '1m'

),

minutes as (

    select
        coarser.symbol,
        coarser.interval,
        coarser.session,
        coarser.opened_at,
        min_by(minutes_of_days.open, minutes_of_days.opened_at) as open,
        max(minutes_of_days.high) as high,
        min(minutes_of_days.low) as low,
        max_by(minutes_of_days.close, minutes_of_days.opened_at) as close,
        sum(minutes_of_days.trades) as trades
    from coarser
    inner join minutes_of_days
        on
            coarser.symbol = minutes_of_days.symbol
            and coarser.session = minutes_of_days.session
            and coarser.trading_date = minutes_of_days.trading_date
            and coarser.opened_at <= minutes_of_days.opened_at
            and coarser.ends_at > minutes_of_days.opened_at
    group by coarser.symbol, coarser.interval, coarser.session, coarser.opened_at

)

-- minutes without an open are no bars of their own, but what they hold is in the coarser bar
select
    coarser.symbol,
    coarser.interval,
    coarser.session,
    coarser.opened_at
from coarser
left join minutes
    on
        coarser.symbol = minutes.symbol
        and coarser.interval = minutes.interval
        and coarser.session = minutes.session
        and coarser.opened_at = minutes.opened_at
where
    minutes.symbol is null
    or coarser.open <> minutes.open
    or coarser.close <> minutes.close
    or coarser.high < minutes.high
    or coarser.low > minutes.low
    or coarser.trades < minutes.trades
