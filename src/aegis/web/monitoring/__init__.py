"""What Prometheus and Grafana are given: scrape configuration, recording and alerting rules, dashboards."""
