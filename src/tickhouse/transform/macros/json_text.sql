{#- A field of a parsed event as text; null where it is no JSON string. -#}
{% macro json_text(event, field) -%}
    {{ adapter.dispatch('json_text', 'tickhouse')(event, field) }}
{%- endmacro %}

{% macro duckdb__json_text(event, field) -%}
    case when left({{ event }}.{{ field }}::varchar, 1) = '"' then {{ event }}.{{ field }} ->> '$' end
{%- endmacro %}
