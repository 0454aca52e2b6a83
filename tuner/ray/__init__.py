"""Ray: the cluster, and the adapters through which it runs the legs of a session. Only this room and trainable's
Ray files import ray; private parts of it are touched in compat.py alone.
"""
