"""The names of the built-in plugins, in the order in which they are loaded; the kernel knows no more of them."""

from __future__ import annotations

ESSENTIAL = (
    "prefect_kernel_plugins.clock_system",
    "prefect_kernel_plugins.storage_sqlite",
    "prefect_kernel_plugins.storage_postgres",
    "prefect_kernel_plugins.server_native",
    "prefect_kernel_plugins.policies",
    "prefect_kernel_plugins.root",
    "prefect_kernel_plugins.basic_auth",
)
"""Built-ins that cannot be switched off."""

DEFAULT = (
    "prefect_kernel_plugins.server_hypercorn",
    "prefect_kernel_plugins.server_uvicorn",
    "prefect_kernel_plugins.broker_memory",
    "prefect_kernel_plugins.leases_memory",
    "prefect_kernel_plugins.leases_filesystem",
    "prefect_kernel_plugins.flows",
    "prefect_kernel_plugins.deployments",
    "prefect_kernel_plugins.deployment_runs",
    "prefect_kernel_plugins.flow_runs",
    "prefect_kernel_plugins.flow_run_states",
    "prefect_kernel_plugins.flow_run_graph",
    "prefect_kernel_plugins.task_runs",
    "prefect_kernel_plugins.task_run_states",
    "prefect_kernel_plugins.task_workers",
    "prefect_kernel_plugins.concurrency_limits",
    "prefect_kernel_plugins.concurrency_limits_v2",
    "prefect_kernel_plugins.work_pools",
    "prefect_kernel_plugins.work_queues",
    "prefect_kernel_plugins.logs",
    "prefect_kernel_plugins.artifacts",
    "prefect_kernel_plugins.blocks",
    "prefect_kernel_plugins.block_types",
    "prefect_kernel_plugins.block_schemas",
    "prefect_kernel_plugins.block_documents",
    "prefect_kernel_plugins.block_capabilities",
    "prefect_kernel_plugins.collections",
    "prefect_kernel_plugins.variables",
    "prefect_kernel_plugins.saved_searches",
    "prefect_kernel_plugins.events",
    "prefect_kernel_plugins.automations",
    "prefect_kernel_plugins.templates",
    "prefect_kernel_plugins.ui_flow_runs",
    "prefect_kernel_plugins.ui_flows",
    "prefect_kernel_plugins.ui_task_runs",
    "prefect_kernel_plugins.api_docs",
    "prefect_kernel_plugins.explain",
    "prefect_kernel_plugins.ui",
    "prefect_kernel_plugins.ui_schemas",
    "prefect_kernel_plugins.services",
    "prefect_kernel_plugins.csrf",
    "prefect_kernel_plugins.metrics",
)
"""Built-ins that are loaded unless switched off."""
