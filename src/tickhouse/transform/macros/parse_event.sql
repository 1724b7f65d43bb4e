{#- One parse of an event's JSON text; null where it is no JSON. Fields keep their JSON form, so that a string can be told
    from a number. -#}
{% macro parse_event(value) -%}
    {{ adapter.dispatch('parse_event', 'tickhouse')(value) }}
{%- endmacro %}

{% macro duckdb__parse_event(value) -%}
    {% set fields = [
        'type', 'symbol', 'received_us',
        'price', 'volume', 'ts_ms', 'conditions', 'position', 'occurrence',
        'state', 'from_us', 'to_us', 'reason',
    ] -%}
    try(json_transform({{ value }}, '{% raw %}{{% endraw %}{% for field in fields %}"{{ field }}":"JSON"{{ ',' if not loop.last }}{% endfor %}}'))
{%- endmacro %}
