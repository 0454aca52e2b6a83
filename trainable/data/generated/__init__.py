"""The embedded data: drawn pictures of unlimited number with exact labels."""
