"""Trackers: callbacks that write a run into the experiment tracker that a team has.

`agl_adapters.trackers.mlflow`, `agl_adapters.trackers.wandb` and, for prompts alone,
`agl_adapters.trackers.langsmith`, each with an extra of its name.
"""
