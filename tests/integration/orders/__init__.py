"""The shop's services, on the real database."""
