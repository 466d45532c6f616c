"""What a scheduler needs besides the steps: which hour, which settings, whom to tell of a failure.

Airflow's DAG file calls these; nothing here imports Airflow.
"""
