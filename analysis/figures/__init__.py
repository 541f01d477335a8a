"""The article's figures and tables: ``registry`` has them by name."""
