{#- One row per part of a comma-joined column, beside the column itself. -#}
{% macro split_to_rows(relation, column, part) -%}
    {{ adapter.dispatch('split_to_rows', 'tickhouse')(relation, column, part) }}
{%- endmacro %}

{% macro duckdb__split_to_rows(relation, column, part) -%}
    select
        {{ column }},
        unnest(string_split({{ column }}, ',')) as {{ part }}
    from {{ relation }}
{%- endmacro %}
