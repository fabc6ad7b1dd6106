"""A real FastAPI service for the tests: `fastapi_app.py PORT INSTRUMENT`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from mcp_metrics_client import (
    add_auth_metrics_middleware,
    add_discovery_metrics_middleware,
    add_registry_metrics_middleware,
    discovery_details,
)


def make(instrument: bool) -> FastAPI:
    app = FastAPI()

    @app.get("/validate")
    async def validate(request: Request) -> JSONResponse:
        if request.headers.get("authorization") != "Bearer good":
            return JSONResponse({"detail": "no"}, 401)
        return JSONResponse({"valid": True}, headers={"X-Username": "alice", "X-Auth-Method": "jwt"})

    @app.get("/validate/events")
    async def events() -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.15)

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/validate/boom")
    async def boom() -> None:
        raise RuntimeError("the handler broke")

    @app.get("/validate/slow")
    async def slow(request: Request) -> dict[str, Any]:
        while not await request.is_disconnected():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
        return {}

    @app.get("/api/servers")
    async def servers() -> list[str]:
        return ["currenttime"]

    @app.delete("/api/servers/{name}")
    async def delete(name: str) -> JSONResponse:
        return JSONResponse({"deleted": name}, 403)

    @app.post("/search")
    def search() -> dict[str, Any]:
        discovery_details(query="find me a clock", results_count=2, embedding_time_ms=1.25, faiss_search_time_ms=0.5)
        return {"results": ["a", "b"]}

    if instrument:
        add_auth_metrics_middleware(app, "fastapi-test", paths={"/validate"})
        add_registry_metrics_middleware(app, "fastapi-test", paths={"/api"})
        add_discovery_metrics_middleware(app, "fastapi-test", paths={"/search"})
    return app


if __name__ == "__main__":
    uvicorn.run(make(sys.argv[2] == "yes"), port=int(sys.argv[1]), log_level="critical")
