"""Real libraries that use PEFT: the right program of each does the same with us on, the usual mistake is told once.

``python -m tests.libraries`` runs the programs of ``programs/`` in processes of their own, on tiny models and the CPU.
Each right program runs three times, plainly, with ``PEFT_STRICT=1`` and with ``PEFT_STRICT=raise``: its losses and the
bytes of what it saves must be the same, and nothing may be said. Each mistake runs plainly, which says nothing, and
with ``PEFT_STRICT=1``, which must say one thing, at the program's own line.

The libraries are those of the test extra ``libraries``; llamafactory and axolotl pin others than ours, so the pages of
those two are fetched without their dependencies into a folder of their own.
"""
