{{ config(tags=['full']) }}

with

days as (

    select
        symbol,
        trading_date,
        volume
    from {{ ref('candlesticks') }}
    where
        interval = '1d'
        and session = 'all'

),

prints as (

    select
        symbol,
        trading_date,
        sum(volume) as volume
    from {{ ref('silver_trades') }}
    where updates_volume
    group by symbol, trading_date

)

select
    days.symbol,
    days.trading_date,
    days.volume,
    prints.volume as printed_volume
from days
left join prints
    on
        days.symbol = prints.symbol
        and days.trading_date = prints.trading_date
where days.volume <> cast(coalesce(prints.volume, 0) as double)
