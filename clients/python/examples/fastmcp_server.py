"""A FastMCP server. From FastMCP 4 on `server.add_middleware(MetricsMiddleware())` does the same."""

from fastmcp import FastMCP

from mcp_metrics_client import instrument_mcp_server

server = FastMCP("calculator")


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


instrument_mcp_server(server)

if __name__ == "__main__":
    server.run("stdio", show_banner=False)
