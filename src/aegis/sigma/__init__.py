"""The detection engine, usable alone: rules, modifiers, compile, match, correlate. Pure."""

from aegis.sigma.engine import Engine
from aegis.sigma.memos import Caches
from aegis.sigma.reading import parse_rules
from aegis.sigma.rules import Correlation, Filter, Match, Parsed, Problem, Rule

__all__ = ["Caches", "Correlation", "Engine", "Filter", "Match", "Parsed", "Problem", "Rule", "parse_rules"]
