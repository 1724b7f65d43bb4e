{#- UTC epoch milliseconds as a timestamp without zone. -#}
{% macro ms_to_timestamp(ms) -%}
    {{ adapter.dispatch('ms_to_timestamp', 'tickhouse')(ms) }}
{%- endmacro %}

{% macro duckdb__ms_to_timestamp(ms) -%}
    epoch_ms({{ ms }})
{%- endmacro %}
