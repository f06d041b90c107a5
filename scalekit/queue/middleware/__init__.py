"""Dramatiq middleware, one behaviour a file. `scalekit.queue.brokers.base` says in which order they stand."""
