"""Settings: one schema, defaults, validation, paths."""

__version__ = "0.1.0"
