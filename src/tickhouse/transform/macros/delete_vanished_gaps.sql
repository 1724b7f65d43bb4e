{#- Gaps close when a feed status comes late: they leave gold before the new ones are added. -#}
{% macro delete_vanished_gaps() -%}
    delete from {{ this }} as known
    where not exists (
        select 1
        from {{ ref('silver_feed_gaps') }} as gaps
        where
            gaps.symbol = known.symbol
            and gaps.state = known.state
            and gaps.reason = known.reason
            and {{ us_to_timestamp('gaps.from_us') }} = known.from_at
            and {{ us_to_timestamp('gaps.to_us') }} = known.to_at
    )
{%- endmacro %}
