"""The rules of Prometheus, generated from one table: `make rules` writes `rules.yml` and the manifest for Kubernetes.

An alert asks for an operator: it names what is wrong, what it costs, a first command and a runbook. Few of them page (`critical`).
No alert speaks of one login, and none is raised because some logins fail: for most institutions that is the normal state.
"""
