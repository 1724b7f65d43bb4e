{{ config(severity='warn') }}
{% set window = build_window() %}

with

unexplained as (

    select conditions from {{ ref('silver_trades') }}
    where
        has_unknown_code
        and {{ is_new(window) }}

),

codes as (

    {{ split_to_rows('unexplained', 'conditions', 'code') }}

)

select
    codes.code,
    count(*) as prints
from codes
left join {{ ref('bronze_trade_conditions') }} as conditions on codes.code = conditions.code
where conditions.code is null
group by codes.code
