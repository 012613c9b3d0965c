"""Athena, Bedrock and S3 within their quotas: a thin face over the governor, with the names its users know.

Names are found when they are asked for, so that importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aegis.cost_optimization.aws_config import create_aws_clients
    from aegis.cost_optimization.cache_manager import CacheManager
    from aegis.cost_optimization.cost_optimizer import CostOptimizer
    from aegis.cost_optimization.model_selector import ModelSelector
    from aegis.cost_optimization.models import (
        FreeTierLimits,
        ModelSelectionCriteria,
        RequestPriority,
        ServiceType,
        ThrottlingConfig,
    )
    from aegis.cost_optimization.throttling_manager import ThrottlingManager
    from aegis.cost_optimization.usage_tracker import UsageTracker

__all__ = [
    "CacheManager",
    "CostOptimizer",
    "FreeTierLimits",
    "ModelSelectionCriteria",
    "ModelSelector",
    "RequestPriority",
    "ServiceType",
    "ThrottlingConfig",
    "ThrottlingManager",
    "UsageTracker",
    "create_aws_clients",
]

_HOMES = {
    "CacheManager": "cache_manager",
    "CostOptimizer": "cost_optimizer",
    "ModelSelector": "model_selector",
    "ThrottlingManager": "throttling_manager",
    "UsageTracker": "usage_tracker",
    "create_aws_clients": "aws_config",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'aegis.cost_optimization' has no attribute {name!r}")
    home = _HOMES.get(name, "models")
    found: object = getattr(import_module(f"aegis.cost_optimization.{home}"), name)
    globals()[name] = found
    return found
