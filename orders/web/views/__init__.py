"""The shop's pages. They read, call a service, and show what came of it."""
