{#- UTC epoch microseconds as a timestamp without zone. -#}
{% macro us_to_timestamp(us) -%}
    {{ adapter.dispatch('us_to_timestamp', 'tickhouse')(us) }}
{%- endmacro %}

{% macro duckdb__us_to_timestamp(us) -%}
    make_timestamp({{ us }})
{%- endmacro %}
