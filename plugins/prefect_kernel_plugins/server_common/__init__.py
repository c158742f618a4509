"""What the ASGI server runners share: WebSockets, response heads, and the bookkeeping of open connections."""
