"""The shop's JSON API, for programs that order on a customer's behalf."""
