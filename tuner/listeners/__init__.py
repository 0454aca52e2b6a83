"""What is made of the events of a search for other people's tools: TensorBoard, an Optuna study, MLflow, Weights &
Biases. Copies, which nothing of ours reads; a session makes up for what an earlier one left undone. May import
trainable.reporting, tuner.policy and tuner.records.
"""
