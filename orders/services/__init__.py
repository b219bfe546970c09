"""What the shop does. Each service is one transaction, or part of its caller's; views and tasks hold no logic."""
