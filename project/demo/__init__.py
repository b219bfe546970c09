"""The demonstration: places orders as a customer would, makes the outside services fail, follows every order
to its end, and judges.

It runs beside a stack, so nothing here is imported with Django's settings before that stack is known:
`python -m project.demo` is a program of its own, and `manage.py demo` becomes it.
"""
