"""A seeded simulator of the saga engine: its real decisions, without a database, a broker, or a clock.

``python -m tests.chaos.simulator --seed 1 --schedules 20000``

Each schedule is one saga of a random definition, and a random interleaving of deliveries, duplicates, crashes, zombies,
time-outs, signals and people's operations. Invariants are checked after every event. A schedule is made of nothing
but its seed, so one that fails is replayed exactly with ``--replay SEED``.
"""
