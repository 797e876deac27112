"""Whether a value of a config is one that PEFT has, and what was probably meant: pure rules.

May import ``releases``.
"""
