"""The platform's statements, by name. PostgreSQL's dialect."""
