"""The faces that speak HTTP: API, dashboard, metrics."""
