"""Brokers behind one small interface."""
