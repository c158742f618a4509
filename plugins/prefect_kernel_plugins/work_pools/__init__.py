"""Work pools, their queues and workers."""
