"""Metrics of your own: recording takes microseconds, never raises and never waits."""

from mcp_metrics_client import MetricsClient, Stopwatch

metrics = MetricsClient(service="weather-jobs", version="1.4.0")

watch = Stopwatch()
# … the work …
metrics.tool_execution(
    tool_name="get_forecast",
    success=True,
    duration_ms=watch.milliseconds,
    server_name="weather",
    user_hash=metrics.hash_user("alice@example.org"),
)
metrics.health_check(endpoint="/mcp", healthy=True, status_code=200, duration_ms=12)
metrics.custom("forecast_cache_lookups", dimensions={"hit": True})
# What is left is sent as the program ends.
