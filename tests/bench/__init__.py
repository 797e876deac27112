"""The benchmarks: ``python -m tests.bench [NAME ...] [--rounds N] [--write README.md]``."""
