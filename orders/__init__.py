"""The application: a shop that takes orders and fulfils them: inventory, payment, shipping."""
