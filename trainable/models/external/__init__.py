"""Networks and weights of other packages and of the user. May import trainable.configuration and trainable.models."""
