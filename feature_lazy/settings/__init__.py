"""What can be set: keys, options, the typed configuration, and the identity of what it describes."""
