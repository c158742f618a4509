"""What the tests of faults have automations do."""

from __future__ import annotations

from typing import Any

import httpx

THRESHOLD = 5


async def make_automations(api_url: str, parameters: dict[str, str], **counting: Any) -> tuple[str, str]:
    """One that runs a deployment with `parameters` for each event `fault.…`, one that fires on every fifth; their ids.

    `counting` is what the trigger of the second says besides.
    """
    trigger = {"type": "event", "posture": "Reactive", "expect": ["fault.*"]}
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as client:
        flow = (await client.post("/flows/", json={"name": "fault"})).json()["id"]
        deployment = (await client.post("/deployments/", json={"name": "d", "flow_id": flow})).json()["id"]
        run = {"type": "run-deployment", "deployment_id": deployment, "parameters": parameters}
        made = [
            await client.post("/automations/", json={"name": name, "trigger": of, "actions": [action]})
            for name, of, action in (
                ("each", trigger, run),
                ("fifth", {**trigger, "threshold": THRESHOLD, **counting}, {"type": "do-nothing"}),
            )
        ]
    return made[0].json()["id"], made[1].json()["id"]
