{#- Whether decimal text names another number than zero, also one that rounds to zero. -#}
{% macro has_digits(text) -%}
    translate(split_part(lower({{ text }}), 'e', 1), '-0.', '') <> ''
{%- endmacro %}
