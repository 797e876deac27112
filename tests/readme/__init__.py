"""Makes the generated parts of the README anew: its pictures and tables, each from what really happens.

``python -m tests.readme`` compares them with what is there, ``--write`` writes them. The table between the ``matrix``
marks, and the data for the map, are written by ``python -m tests.matrix --write README.md``, which takes much longer.
"""
