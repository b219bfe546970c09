"""Whatever moves rows to a broker: one engine, several ways to run it."""
