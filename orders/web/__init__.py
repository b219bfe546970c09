"""The shop's pages, for customers at a browser."""
