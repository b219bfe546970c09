"""What whoever committed it sends at once."""
