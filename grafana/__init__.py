"""The dashboards as code. `python -m grafana` writes `dashboards/*.json`, which is committed; a test holds that both are equal.

A dashboard answers an operator's questions from the top down: what is wrong, since when, for whom, what it costs, and where to look next.
"""
