"""Systems of the literature: one folder for each paper, with its options, its claim as a law, and a small sweep.

A system imports rooms, never another system. ``systems.yaml`` has a row for each; ``table`` reads it, ``reproduce``
trains and judges, and ``commands`` are those of ``feature-lazy``. ``docs/extend/system.md`` is how one is written.
"""
