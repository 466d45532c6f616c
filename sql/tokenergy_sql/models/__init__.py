"""The models: one SQL file a derived table, each a single SELECT over views of the lake."""
