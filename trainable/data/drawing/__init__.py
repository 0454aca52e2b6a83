"""What drawn pictures are made of: random textures, and stains of dirt. May import nothing of ours."""
