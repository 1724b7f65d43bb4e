{{ config(materialized='view') }}

with

spans as (

    select * from {{ ref('silver_feed_spans') }}

),

coverage as (

    select
        symbol,
        to_us,
        lead(from_us) over (partition by symbol order by from_us) as next_from_us
    from spans
    where kind = 'coverage'

),

holes as (

    select
        symbol,
        to_us as from_us,
        next_from_us as to_us
    from coverage
    where next_from_us is not null

),

losses as (

    select * from spans
    where kind = 'loss'

),

explained as (

    select
        holes.symbol,
        coalesce(losses.state, 'uncovered') as state,
        coalesce(losses.reason, 'no sign of life') as reason,
        holes.from_us,
        holes.to_us,
        row_number() over (
            partition by holes.symbol, holes.from_us
            order by losses.from_us, losses.to_us, losses.state, losses.reason
        ) as place
    from holes
    left join losses
        on
            holes.symbol = losses.symbol
            and losses.state <> 'dropped'  -- by a producer that was there: no cause of a hole
            and holes.from_us < losses.to_us
            and holes.to_us > losses.from_us

),

hole_gaps as (

    select
        symbol,
        state,
        reason,
        from_us,
        to_us
    from explained
    where place = 1

),

lone_losses as (

    -- a loss within a hole is no gap of its own
    select
        losses.symbol,
        losses.state,
        losses.reason,
        losses.from_us,
        losses.to_us
    from losses
    left join holes
        on
            losses.symbol = holes.symbol
            and losses.from_us >= holes.from_us
            and losses.to_us <= holes.to_us
    where holes.symbol is null

),

gaps as (

    select * from hole_gaps
    union
    select * from lone_losses

)

select * from gaps
