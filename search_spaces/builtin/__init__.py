"""The spaces of the workloads, a file for each and one for both pre-trainings. May import search_spaces.shared and
search_spaces.space.
"""
