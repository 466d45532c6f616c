"""Uploads sealed files to a store: an S3 bucket, or a folder on a mounted share."""
