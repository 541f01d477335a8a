"""Commands of ``feature-lazy`` on the systems of the literature."""
