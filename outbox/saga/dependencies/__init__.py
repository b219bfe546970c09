"""Outside services that steps depend on: a circuit breaker and limits for each, shared by all workers.

- :mod:`.declaration`: what is declared: ``Dependency("payment", …)``.
- :mod:`.gate`: asks before an attempt begins, and reports how it ended.
- :mod:`.breaker`, :mod:`.limits`, :mod:`.waiting`: the SQL.
- :mod:`.overview`: how the services stand, for people.

The state is in the database, by the database's clock. While all is well and nothing is limited an attempt costs
nothing: the statement that reads the saga tells so, too.
"""
