"""A Django application for the benchmarks alone: a business row, tasks, an event, a synchronous view."""
