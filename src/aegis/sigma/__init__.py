"""The detection engine, usable alone: rules, modifiers, compile, match, correlate. Pure."""

from aegis.sigma.correlator import CorrelationMatch, Correlator
from aegis.sigma.engine import Engine
from aegis.sigma.memos import Caches
from aegis.sigma.reading import parse_rules
from aegis.sigma.rules import Correlation, Filter, Match, Parsed, Problem, Rule
from aegis.sigma.trackers import CorrelationBounds

__all__ = [
    "Caches",
    "Correlation",
    "CorrelationBounds",
    "CorrelationMatch",
    "Correlator",
    "Engine",
    "Filter",
    "Match",
    "Parsed",
    "Problem",
    "Rule",
    "parse_rules",
]
