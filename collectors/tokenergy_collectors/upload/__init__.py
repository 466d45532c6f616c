"""Sealed files out of the lake and into a store: an S3 bucket, or a folder on a mounted share."""
