"""The MCP server: other agents delegate work to runs of ccterm, by the rules of the HTTP API."""
