"""Every field of every config class with right and wrong values: ``python -m tests.field_values [RELEASE ...]``."""
