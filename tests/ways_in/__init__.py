"""Every way in which a ``task_type`` reaches PEFT: what must be refused, and what must stay quiet.

``wrong`` and ``right`` are the two tables, ``__main__`` tries all of it on the installed PEFT, in one process::

    python -m tests.ways_in [--plain] [--strict] [--warn] [--off] [--json]

Written so that it runs on PEFT 0.2.0 to 0.21.2: nothing here is imported from PEFT before it is needed.
"""
