"""Turn loaded events into bronze, silver and gold: the dbt project and the one way to run it."""

from tickhouse.transform.run import NodeResult, SourceFreshness, TransformResult, freshness, run_dbt, transform

__all__ = ["NodeResult", "SourceFreshness", "TransformResult", "freshness", "run_dbt", "transform"]
