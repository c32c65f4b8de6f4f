"""The wire contract: topics, messages, errors and limits, as both sides of the broker see them.

Nothing in here imports anything else of ours. `README.md` beside this file is the contract in prose.
"""
