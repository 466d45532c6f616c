"""A day of a thousand GPUs to ledger and index: seconds, memory, and questions on the result."""
