"""What the tests drive the real thing with: processes to start and kill, conditions to await."""
