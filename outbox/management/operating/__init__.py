"""What ``manage.py outbox`` can do: a module for each group of its subcommands.

Each has ``add(subparsers)``, which declares them, and functions that are called with the options and a console.
"""
