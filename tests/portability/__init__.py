"""The engine on other databases than PostgreSQL: settings for running its tests there."""
