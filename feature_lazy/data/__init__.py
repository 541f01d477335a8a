"""Data as the article prepares them: balanced, on the sphere, labelled ±1 by parity; and other sets and labels beside.

``sources``, ``labels`` and ``cache`` come without PyTorch, so that a command line can be checked at once.
"""
