{#- What a time in an event may be: 2000 to 2049, as the calendar in RAW. All that is computed from it then fits. -#}
{% macro earliest_ms() -%} 946684800000 {%- endmacro %}

{% macro past_latest_ms() -%} 2524608000000 {%- endmacro %}


{#- The integer that stands in `text`, null where that is none or lies outside of [at_least, below). -#}
{% macro integer_within(text, at_least, below) -%}
    case
        when
            {{ text }} not like '%.%'
            and try_cast({{ text }} as bigint) >= {{ at_least }}
            and try_cast({{ text }} as bigint) < {{ below }}
            then try_cast({{ text }} as bigint)
    end
{%- endmacro %}


{% macro time_in_ms(text) -%}
    {{ integer_within(text, earliest_ms(), past_latest_ms()) }}
{%- endmacro %}


{% macro time_in_us(text) -%}
    {{ integer_within(text, earliest_ms() ~ '000', past_latest_ms() ~ '000') }}
{%- endmacro %}


{#- Why `text` gave no time. -#}
{% macro is_no_integer(text) -%}
    ({{ text }} is null or {{ text }} like '%.%')
{%- endmacro %}
