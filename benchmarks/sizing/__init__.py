"""What a GPU-hour costs in processor time, memory, bytes and files, and what fleets need."""
