"""Trackers: callbacks that write a run into the experiment tracker that a team has.

`agl_adapters.trackers.mlflow` and `agl_adapters.trackers.wandb`, each with an extra of its name.
"""
