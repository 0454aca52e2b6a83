"""Parts of drawn pictures: random textures, and stains of dirt. May import nothing of ours."""
