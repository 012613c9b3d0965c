"""The incident path: event, detection, incident, enrichment, analysis, routing, delivery."""
