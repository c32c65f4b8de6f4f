"""The contract, case by case, on one set of real processes."""
