{#- A field that lists strings as sorted, comma-joined text: '' where it is null or absent, null where it is anything else
    or a string holds a comma. -#}
{% macro json_codes(event, field) -%}
    {{ adapter.dispatch('json_codes', 'tickhouse')(event, field) }}
{%- endmacro %}

{% macro duckdb__json_codes(event, field) -%}
    case
        when coalesce({{ event }}.{{ field }}::varchar, 'null') in ('null', '[]') then ''
        when regexp_full_match({{ event }}.{{ field }}::varchar, '\["[^",\\]+"(,"[^",\\]+")*\]')
            then array_to_string(list_sort(cast({{ event }}.{{ field }} as varchar [])), ',')
    end
{%- endmacro %}
