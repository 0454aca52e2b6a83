"""What is made of the events of a search for other people's tools: TensorBoard, an Optuna study, MLflow, Weights &
Biases, the view on the terminal. Copies, which nothing of ours reads; a session makes up for what an earlier one left
undone. May import tuner.policy, tuner.records, trainable.reporting.tracking and the view;
never tuner.ray.
"""
