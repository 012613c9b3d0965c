"""MITRE ATT&CK: what a technique is, how to detect, hunt and mitigate it, from a catalogue kept on this machine."""

from __future__ import annotations

from aegis.connectors.attack.catalogue import Catalogue, Entry
from aegis.connectors.attack.enricher import Attack, Config, build, fetch, read_catalogue
from aegis.connectors.attack.stix import parse_stix

__all__ = ["Attack", "Catalogue", "Config", "Entry", "build", "fetch", "parse_stix", "read_catalogue"]
