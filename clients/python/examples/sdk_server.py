"""A server on the official SDK, 2.x: `MCPServer` or `Server`. On 1.x it is `mcp.server.fastmcp.FastMCP` or `Server`."""

from mcp.server.mcpserver import MCPServer

from mcp_metrics_client import instrument_mcp_server

server = MCPServer("calculator")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


instrument_mcp_server(server)

if __name__ == "__main__":
    server.run("stdio")
