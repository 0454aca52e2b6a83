"""Networks and weights of other packages and of the user."""
