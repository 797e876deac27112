"""The command line: ``run``, ``check`` and ``doctor``, and what they print. Stands on all other wings."""
