"""The one error of model files."""

from __future__ import annotations


class ModelFault(Exception):
    """Why a model's files cannot be loaded, and what would help; one sentence."""
