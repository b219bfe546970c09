"""What the saga's steps do, one file a step: the action, its undo, and what is recorded of each."""
