"""Switching on and off, and telling what is guarded. Stands on ``guards``."""
