"""Prometheus and Alertmanager: rules, and examples of their configuration."""
