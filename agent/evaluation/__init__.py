"""How well an agent answers: a suite of questions is asked, and each answer held against what is expected of it.

`README.md` beside this file is the suite's form in prose.
"""
