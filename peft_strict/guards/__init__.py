"""The patches on a live PEFT, and what they do when they are met: the only wing that touches PEFT's classes.

May import ``fit``, ``values``, ``roundtrip`` and ``releases``, which decide. wrapt is imported in ``patching`` alone.
"""
