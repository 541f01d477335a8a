"""The errors that a user can mend: each message says what was wrong, where, and what to do."""


class FeatureLazyError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(FeatureLazyError):
    """A configuration value that is refused; the message names key, value and what is allowed."""


class DataError(FeatureLazyError):
    """A data set that is unknown, too small, or not what it should be."""


class StoreError(FeatureLazyError):
    """A results folder that cannot be used, or a stored run that is damaged."""


class NumericalError(FeatureLazyError):
    """A result that is not finite, or not as exact as it was asked to be."""


class KernelSizeError(FeatureLazyError):
    """A kernel, or a network, that is larger than the memory."""
