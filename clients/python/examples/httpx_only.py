"""Without the package: httpx alone. A service uses `MetricsClient`, which batches and never waits."""

import os
import time
import uuid
from datetime import datetime, timezone

import httpx

body = {
    "service": "import-job",
    "metrics": [
        {
            "type": "registry_operation",
            "value": 1,
            "duration_ms": 830.5,
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "dimensions": {"operation": "import", "resource_type": "servers", "success": True},
        }
    ],
}
headers = {
    "X-API-Key": os.environ["METRICS_API_KEY"],
    # The same at every try: the gateway counts what it has counted before only once.
    "Idempotency-Key": str(uuid.uuid4()),
}

for attempt in range(8):
    wait = 2**attempt / 4
    try:
        answer = httpx.post(os.environ["METRICS_SERVICE_URL"] + "/metrics", json=body, headers=headers, timeout=10)
    except httpx.TransportError as error:
        print(f"no answer: {error}")
    else:
        if answer.status_code == 200:
            print(f"{answer.json()['accepted']} accepted")
            break
        if answer.status_code not in (408, 409, 429) and answer.status_code < 500:
            raise SystemExit(f"refused: {answer.json()['detail']}")
        wait = float(answer.headers.get("Retry-After", wait))
    time.sleep(wait)
else:
    raise SystemExit("the metrics gateway did not answer")
