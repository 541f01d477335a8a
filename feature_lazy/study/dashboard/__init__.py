"""A Weights & Biases dashboard made by code: a workspace to explore a sweep in, and a report to read it by.

Objects are built without an account and without a network; ``account`` alone talks to the server.
"""
