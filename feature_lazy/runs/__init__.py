"""Runs: trained, stored, tracked, and read back."""
