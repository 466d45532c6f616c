"""Object stores: what is asked of S3 and of those that speak its language."""
