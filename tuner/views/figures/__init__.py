"""The figures of a search, drawn with plotly: report.html and the Streamlit page show the same ones. Each is a function
of the records. May import trainable.leg, tuner.selection.comparison, tuner.formatting, tuner.importance, tuner.policy,
tuner.records and tuner.results; neither torch nor ray.
"""
