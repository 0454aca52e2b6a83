"""The costs of a search beside training: driver, decisions, idle slots, start."""
