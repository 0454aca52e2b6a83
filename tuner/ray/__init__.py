"""Ray: the cluster, and the adapters through which it runs the legs of a session. Private
parts of Ray are touched in compat.py alone.
"""
