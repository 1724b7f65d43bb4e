{% set window = build_window() %}

with

arrived as (

    select
        load_id,
        count(*) as prints
    from {{ ref('bronze_trades') }}
    where {{ is_new(window) }}
    group by load_id

),

accounted as (

    select load_id from {{ ref('silver_trades') }}
    where {{ is_new(window) }}

    union all

    select load_id from {{ ref('silver_rejects') }}
    where
        coalesce(event_type, '') <> 'status'
        and {{ is_new(window) }}

),

counted as (

    select
        load_id,
        count(*) as prints
    from accounted
    group by load_id

)

select
    arrived.load_id,
    arrived.prints,
    counted.prints as accounted_prints
from arrived
left join counted on arrived.load_id = counted.load_id
where arrived.prints <> coalesce(counted.prints, 0)
