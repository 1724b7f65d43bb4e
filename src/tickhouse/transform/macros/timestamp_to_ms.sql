{#- A UTC timestamp without zone as epoch milliseconds. -#}
{% macro timestamp_to_ms(timestamp) -%}
    {{ adapter.dispatch('timestamp_to_ms', 'tickhouse')(timestamp) }}
{%- endmacro %}

{% macro duckdb__timestamp_to_ms(timestamp) -%}
    epoch_ms({{ timestamp }})
{%- endmacro %}
