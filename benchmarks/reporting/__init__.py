"""Results as tables and figures: what report.py is made of."""
