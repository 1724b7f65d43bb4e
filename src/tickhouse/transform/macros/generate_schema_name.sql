{#- Schemas are named as they are: REPORTER's grants and the report's sources need GOLD, not <target>_GOLD. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
