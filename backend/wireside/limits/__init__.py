"""Rate limits and queues, without I/O; ``docs/limits.md`` lists all limits."""
