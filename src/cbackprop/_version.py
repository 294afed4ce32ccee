"""The version, and nothing else: whatever builds or shows the package can read it from here."""

__version__ = "0.7.0"
