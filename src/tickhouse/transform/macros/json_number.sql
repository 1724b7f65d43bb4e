{#- A field of a parsed event as decimal text; null where it is no JSON number.
    DuckDB reads a fraction as a double, which holds 15 digits. Where `value`, the event's text, is given, the digits are
    those that stand in it; the double proves that they are this field's. -#}
{% macro json_number(event, field, value=none) -%}
    {{ adapter.dispatch('json_number', 'tickhouse')(event, field, value) }}
{%- endmacro %}

{% macro duckdb__json_number(event, field, value) -%}
    {%- set number = event ~ '.' ~ field ~ '::varchar' -%}
    {%- set sent = "regexp_extract(" ~ value ~ ", '\"" ~ field ~ "\"\\s*:\\s*(-?[0-9][0-9.eE+-]*)', 1)" -%}
    case
        when left({{ number }}, 1) not in ('-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9') then null
        {%- if value is not none %}
        when contains({{ value }}, '"{{ field }}":' || {{ number }} || ',') then {{ number }}
        when try_cast({{ sent }} as double) = try_cast({{ number }} as double) then {{ sent }}
        {%- endif %}
        else {{ number }}
    end
{%- endmacro %}
