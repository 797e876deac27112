"""Whether a config fits the model it meets: facts read from live models, and pure rules about them.

May import ``releases``.
"""
