"""The broker's files as a program edits them: users, rules, certificates."""
