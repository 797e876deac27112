"""Whether what was trained is in the file, and comes back: the looks at save and load, and what a saved file tells.

May import ``values``, ``fit`` and ``releases``.
"""
