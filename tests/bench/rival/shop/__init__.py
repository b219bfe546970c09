"""What the rival's project publishes."""
