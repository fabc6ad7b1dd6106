"""A FastAPI service: its authentication, its registry and its search, each reported by one line."""

import os

import uvicorn
from fastapi import FastAPI, Request, Response

from mcp_metrics_client import (
    add_auth_metrics_middleware,
    add_discovery_metrics_middleware,
    add_registry_metrics_middleware,
    discovery_details,
)

app = FastAPI()
add_auth_metrics_middleware(app, service_name="my-service", paths={"/validate"})
add_registry_metrics_middleware(app, service_name="my-service", paths={"/api/servers"})
add_discovery_metrics_middleware(app, service_name="my-service", paths={"/api/search"})


@app.get("/validate")
async def validate(request: Request) -> Response:
    if request.headers.get("authorization") != "Bearer let-me-in":
        return Response("who are you?", 401)
    # Where the metric finds its user (sent as a hash) and method, unless options say otherwise.
    return Response("welcome", headers={"X-Username": "alice", "X-Auth-Method": "jwt"})


@app.get("/api/servers/{name}")
async def server(name: str) -> dict[str, str]:
    return {"name": name}


@app.get("/api/search")
def search(query: str) -> list[str]:
    results = ["weather", "currenttime"]
    # What no header tells. The query itself is found in `?query=` or `?q=`, and cut.
    discovery_details(results_count=len(results), embedding_time_ms=3.1, faiss_search_time_ms=0.4)
    return results


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
