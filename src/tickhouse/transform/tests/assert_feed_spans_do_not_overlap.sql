with

coverage as (

    select
        symbol,
        from_us,
        to_us,
        lead(from_us) over (partition by symbol order by from_us, to_us) as next_from_us
    from {{ ref('silver_feed_spans') }}
    where kind = 'coverage'

)

select * from coverage
where
    to_us < from_us
    or to_us >= next_from_us
