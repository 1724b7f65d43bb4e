{% set window = build_window() %}

with

bars as (

    select * from {{ ref('candlesticks') }}
    where build_id = {{ window.build_id }}

)

select * from bars
where
    low > open
    or low > close
    or high < open
    or high < close
    or vwap > high * 1.000000001
    or vwap < low * 0.999999999
    or ends_at <= opened_at
    or volume < 0
    or (is_complete and not is_closed)
