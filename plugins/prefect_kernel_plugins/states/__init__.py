"""States of runs: what clients propose, what is stored, what is answered."""

from .schemas import StateCreate, StateDetails, to_state
from .stored import details_from_json, details_to_json, persisted, state_from_row

__all__ = [
    "StateCreate",
    "StateDetails",
    "details_from_json",
    "details_to_json",
    "persisted",
    "state_from_row",
    "to_state",
]
