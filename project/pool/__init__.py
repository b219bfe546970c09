"""The database behind a pool of connections, for web processes: its ``ENGINE`` is the package. See ``base``."""
