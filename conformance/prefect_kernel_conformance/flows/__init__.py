"""Real flows, run by the real client against both servers.

Each script stands alone: `PREFECT_API_URL=… python basics.py` checks what a client can see of its flows, prints a
summary as its last line, and ends with 0 when all is right. `harness` runs them on both servers and compares summaries.
"""
