"""What a step costs as the history of a lake grows."""
