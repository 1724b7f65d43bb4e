{% set window = build_window() %}

with

coarser as (

    select * from {{ ref('candlesticks') }}
    where
        interval <> '1m'
        and build_id = {{ window.build_id }}

),

minutes as (

    select
        coarser.symbol,
        coarser.interval,
        coarser.session,
        coarser.opened_at,
        min_by(candlesticks.open, candlesticks.opened_at) as open,
        max(candlesticks.high) as high,
        min(candlesticks.low) as low,
        max_by(candlesticks.close, candlesticks.opened_at) as close,
        sum(candlesticks.trades) as trades
    from coarser
    inner join {{ ref('candlesticks') }} as candlesticks
        on
            coarser.symbol = candlesticks.symbol
            and coarser.session = candlesticks.session
            and coarser.trading_date = candlesticks.trading_date
            and candlesticks.interval = '1m'
            and coarser.opened_at <= candlesticks.opened_at
            and coarser.ends_at > candlesticks.opened_at
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
