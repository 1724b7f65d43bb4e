{#- What this build takes in: loads past `since_load_id`, up to `through_load_id`. Read from the books and written into
    the SQL as numbers, since variables given to dbt would void its partial parse. -#}
{% macro build_window() -%}
    {% set window = {'build_id': 1, 'since_load_id': 0, 'through_load_id': 0} %}
    {% if execute %}
        {% set books %}
            select
                coalesce(max(build_id), 0) + 1 as build_id,
                coalesce(max(through_load_id), 0) as since_load_id,
                (select coalesce(max(load_id), 0) from raw.load_ledger) as through_load_id
            from raw.builds
        {% endset %}
        {% set row = run_query(books).rows[0] %}
        {% do window.update({
            'build_id': row[0] | int, 'since_load_id': row[1] | int, 'through_load_id': row[2] | int
        }) %}
    {% endif %}
    {{ return(window) }}
{%- endmacro %}


{#- The same, with everything new to a model that is built from nothing. -#}
{% macro model_window() -%}
    {% set window = build_window() %}
    {{ return({
        'build_id': window.build_id,
        'since_load_id': window.since_load_id if is_incremental() else 0,
        'through_load_id': window.through_load_id,
    }) }}
{%- endmacro %}


{% macro is_new(window) -%}
    load_id > {{ window.since_load_id }} and load_id <= {{ window.through_load_id }}
{%- endmacro %}
