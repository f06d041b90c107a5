"""One module a hot path, beside the peers a user would pick instead.

Machines are noisy, so every figure is a ratio of samples that were taken in turns in one run.
`python -m benchmarks` runs them all, `--quick` with fewer samples, `python -m benchmarks.bench_router` one.
"""
