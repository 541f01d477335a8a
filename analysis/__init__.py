"""The figures and tables of the article, from stored runs; what every sweep has is in ``feature_lazy.study``."""
