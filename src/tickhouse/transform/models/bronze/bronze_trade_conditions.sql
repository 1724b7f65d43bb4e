with

conditions as (

    select * from {{ source('raw', 'trade_conditions') }}

)

select
    code,
    name,
    session,
    updates_last,
    updates_high_low,
    updates_volume
from conditions
