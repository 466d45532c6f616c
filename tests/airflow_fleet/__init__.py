"""An hour of 2,000 nodes in a whole Airflow."""
