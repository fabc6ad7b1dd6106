"""What schemathesis cannot know of this API."""

import re

import schemathesis

DATE = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]")


@schemathesis.hook
def before_call(context, case, kwargs):
    """
    A key that names one batch may not come with another body, and a metric may not be older than what is kept: chance
    repeats short keys and likes the year 2000, and 422 is right for both. So it is for a key that has expired already.
    """
    if case.headers:
        case.headers.pop("Idempotency-Key", None)
    if isinstance(case.body, dict) and DATE.match(str(case.body.get("expires_at"))):
        del case.body["expires_at"]
    metrics = case.body.get("metrics") if isinstance(case.body, dict) else None
    for metric in metrics if isinstance(metrics, list) else []:
        if isinstance(metric, dict) and DATE.match(str(metric.get("timestamp"))):
            del metric["timestamp"]
