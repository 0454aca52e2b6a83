"""Copies the events of a search to other tools: TensorBoard, an Optuna study, MLflow, Weights & Biases. This project
never reads the copies; a session adds what an earlier one left out. May import search_spaces.ranges,
trainable.reporting, tuner.formatting, tuner.policy and tuner.records.
"""
