"""From Parquet to segments, timed beside reading the same files with pyarrow alone."""
