"""The sandbox: one HTTP process standing in for a payment provider and a carrier.

It keeps a ledger of its own in a SQLite file, honours idempotency keys, and has fault switches. It knows
nothing of Django and nothing of the shop: what reaches it came over HTTP. ``client`` is the door for the
demo, the audit and the tests; the shop itself goes through ``orders.gateways``.
"""
